"""Unit calls: what each exercise is called with, before the curve is asked.

`grader.units.<milestone>` holds one generator per exercise, of the exercise's name.  It takes the
function or class under test and the milestone's script, and yields (what was called, what came
back) pairs: float64, small, and able to tell things apart (tall, wide, square; several steps).  The
same generator run on the script's own implementation gives the expected values.
"""
