"""What the tests of the sweep share with those of trials."""

from tests.trials.conftest import base_model as base_model
