"""Grades exercises/milestone04_unet_skips.py: pytest grader/ -k milestone04"""

from grader.cases import cases_of

test_task = cases_of("milestone04_unet_skips")
