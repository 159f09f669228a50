"""Grades exercises/milestone00_baseline.py: pytest grader/ -k milestone00"""

from grader.cases import cases_of

test_task = cases_of("milestone00_baseline")
