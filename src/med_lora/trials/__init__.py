"""Trials: trainings that differ in their settings, ranked by a figure on the validation pairs.

A sweep knows its trials beforehand, a search chooses each by the ones before; both run and store them here.
"""
