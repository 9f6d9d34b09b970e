"""Scores to what may be said of the arms: intervals, tests, parts of the test set, and figures as published."""
