"""Grades exercises/milestone01_muon.py: pytest grader/ -k milestone01"""

from grader.cases import cases_of

test_task = cases_of("milestone01_muon")
