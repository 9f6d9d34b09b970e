"""Tests of the published studies beside a run."""
