"""Grades exercises/milestone03_distributed_muon.py: pytest grader/ -k milestone03"""

from grader.cases import cases_of

test_task = cases_of("milestone03_distributed_muon")
