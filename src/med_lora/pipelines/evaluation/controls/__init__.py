"""Answers that need no understanding, beside those of the arms."""
