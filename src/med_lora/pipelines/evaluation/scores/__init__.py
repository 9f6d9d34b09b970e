"""Answers to scores: one node a family of metrics, and the long table of all."""
