"""Intervals, tests and power for scores of the same pairs under two arms."""
