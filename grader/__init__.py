"""The grader: `pytest grader/` for the learner, `python -m grader` for the board."""
