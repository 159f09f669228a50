"""Grades exercises/milestone02_modern_arch.py: pytest grader/ -k milestone02"""

from grader.cases import cases_of

test_task = cases_of("milestone02_modern_arch")
