"""Rehearsals: an experiment's whole path on a CPU, with a stand-in of its model and smaller sizes."""
