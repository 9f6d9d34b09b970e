"""Readers of raw files: each yields the records of one file in chunks, faulty records marked and counted."""
