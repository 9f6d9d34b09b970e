"""The parameters and the catalog of a project, as a run would have them, without a run."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from kedro.io import DatasetError

from med_lora.errors import InputError
from med_lora.parameters import ProjectParams, parse_parameters
from med_lora.project_folder import check_project_folder


@dataclass(frozen=True)
class Project:
    """What an experiment has left behind.

    Attributes:
        parameters: of the experiment in an environment.
        catalog: of Kedro; datasets load their newest version.
    """

    parameters: ProjectParams
    catalog: Any

    def load_saved(self, name: str) -> Any:
        """A dataset that an earlier run saved.

        Raises:
            InputError: if none did, or it cannot be read.
        """
        if not self.catalog.exists(name):
            raise InputError(
                f"The experiment {self.parameters.experiment} has no {name} yet; run `kedro run` first, with the same "
                "--env and --params."
            )
        return self.load(name)

    def load(self, name: str) -> Any:
        """A dataset that was there before any run, or was found to exist.

        Raises:
            InputError: if it is missing or cannot be read.
        """
        try:
            return self.catalog.load(name)
        except DatasetError as error:
            cause: BaseException | None = error
            while cause is not None:  # Kedro wraps what a dataset raises
                if isinstance(cause, InputError):
                    raise cause from error
                cause = cause.__cause__
            raise


def open_project(folder: Path, env: str | None, params: str) -> Project:
    """Read the configuration that lies in ``folder``, with the checks of a run.

    Args:
        folder: of the project.
        env: environment; None for the default.
        params: runtime parameters, as ``kedro run --params`` takes them: ``key=value,...``.

    Raises:
        InputError: if no such project lies there.
        click.ClickException: for an unknown environment or experiment, or parameters that cannot be read or are not
            allowed.
    """
    check_project_folder(folder)
    logging.disable(logging.INFO)  # what a run logs about its datasets would stand between the answers
    from kedro.framework.cli.utils import _split_params
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    try:
        given = _split_params(click.Context(click.Command("ask")), click.Option(["--params"]), params)
    except click.UsageError as error:
        raise InputError(error.message) from error
    bootstrap_project(folder)
    session: Any = KedroSession.create(folder, save_on_close=False, env=env, runtime_params=given)
    with session:
        context = session.load_context()
        _log_to_stderr()
        return Project(parse_parameters(context.config_loader["parameters"]), context.catalog)


def _log_to_stderr() -> None:
    """Kedro logs to the standard output, which is the answers' here."""
    from rich.console import Console
    from rich.logging import RichHandler

    for handler in logging.getLogger().handlers:
        if isinstance(handler, RichHandler):
            handler.console = Console(stderr=True)
