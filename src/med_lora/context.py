"""The session's context, which knows the experiment before anything asks for pipelines."""

from __future__ import annotations

from typing import Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines

from med_lora.errors import InputError
from med_lora.parameters import parse_parameters


class ExperimentContext(KedroContext):
    """A context that registers the pipelines that the experiment asks for, also where no hook is called (kedro-viz).

    Raises:
        click.ClickException: if a parameter is wrong, or the stages contradict each other.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        from med_lora import pipeline_registry

        try:
            pipeline_registry.select_plan(parse_parameters(self.config_loader["parameters"]))
        except InputError as error:
            raise click.ClickException(str(error)) from error
        pipelines.configure(pipeline_registry.__name__)
