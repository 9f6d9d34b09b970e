"""The parameters and the catalog of a project, as a run would have them, without a run."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from kedro.io import DatasetError

from med_lora.config_loader import REHEARSAL_ENDING
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

    def has(self, name: str) -> bool:
        """Whether an earlier run saved a dataset."""
        return bool(self.catalog.exists(name))

    def load_saved(self, name: str) -> Any:
        """A dataset that an earlier run saved.

        Raises:
            InputError: if none did, or it cannot be read.
        """
        if not self.has(name):
            study, experiment = self.parameters.rehearsal_of, self.parameters.experiment
            command = f"`kedro run --params=experiment={experiment}` first, with the same --env and other --params"
            if study:
                command = f"`make rehearse STUDY={study}` first"
            raise InputError(f"The experiment {experiment} has no {name} yet; run {command}.")
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


def open_project(folder: Path, env: str | None, given: Mapping[str, Any]) -> Project:
    """Read the configuration that lies in ``folder``, with the checks of a run.

    Args:
        folder: of the project.
        env: environment; None for the default.
        given: runtime parameters.

    Raises:
        InputError: if no such project lies there.
        click.ClickException: for an unknown environment or experiment, or parameters that are not allowed.
    """
    check_project_folder(folder)
    _silence()
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(folder)
    session: Any = KedroSession.create(folder, save_on_close=False, env=env, runtime_params=dict(given))
    with session:
        context = session.load_context()
        _log_to_stderr()
        return Project(parse_parameters(context.config_loader["parameters"]), context.catalog)


def read_params(params: str) -> dict[str, Any]:
    """Runtime parameters from ``key=value,...``, as ``kedro run --params`` takes them.

    Raises:
        InputError: if they cannot be read.
    """
    _silence()
    from kedro.framework.cli.utils import _split_params

    try:
        given = _split_params(click.Context(click.Command("ask")), click.Option(["--params"]), params)
    except click.UsageError as error:
        raise InputError(error.message) from error
    return dict(given)


def open_experiment(name: str) -> Project:
    """What an experiment has left behind in the project in or above the working folder, for a notebook.

    Args:
        name: of a file in ``conf/experiments``, or of a study with "_rehearsal" behind it.

    Raises:
        InputError: if there is no such project or experiment, or its configuration is wrong.
    """
    folder = _find_project(Path.cwd())
    given = {"experiment": name}
    is_file = (folder / "conf" / "experiments" / f"{name}.yml").is_file()
    if name.endswith(REHEARSAL_ENDING) and not is_file:
        given["rehearsal_of"] = name.removesuffix(REHEARSAL_ENDING)
    try:
        return open_project(folder, None, given)
    except click.ClickException as error:
        raise InputError(error.message) from error
    finally:
        _restore_notebook()


def _find_project(start: Path) -> Path:
    """The nearest folder of a project, ``start`` itself or above it; where there is none, ``start``."""
    for folder in (start, *start.parents):
        try:
            check_project_folder(folder)
        except InputError:
            continue
        return folder
    return start


def _restore_notebook() -> None:
    """Let IPython show values and exceptions again, an InputError as its sentence.

    Kedro's log handler puts rich in their place, which shows an object that describes itself by its class.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return
    from IPython.core.formatters import PlainTextFormatter

    vars(shell).pop("_showtraceback", None)
    formatters = shell.display_formatter.formatters
    if not isinstance(formatters["text/plain"], PlainTextFormatter):
        formatters["text/plain"] = PlainTextFormatter(parent=shell.display_formatter)
    warnings.filterwarnings("ignore", message="IProgress not found")  # no bar is drawn here


def _silence() -> None:
    """What Kedro logs, from its first import on, would stand between the answers."""
    logging.disable(logging.INFO)


def _log_to_stderr() -> None:
    """Kedro logs to the standard output, which is the answers' here."""
    from rich.console import Console
    from rich.logging import RichHandler

    for handler in logging.getLogger().handlers:
        if isinstance(handler, RichHandler):
            handler.console = Console(stderr=True)
