"""Kedro project settings."""

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.context import ExperimentContext
from med_lora.hooks import ProjectHooks
from med_lora.runs.hooks import RunHooks

HOOKS = (ProjectHooks(), RunHooks())
CONFIG_LOADER_CLASS = ExperimentConfigLoader
CONTEXT_CLASS = ExperimentContext
# Hardware is set in conf/<env>/globals.yml alone; without --env it is the CPU's.
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "cpu"}
