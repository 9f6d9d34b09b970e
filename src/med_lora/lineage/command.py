"""The command ``lineage``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from med_lora.errors import InputError
from med_lora.project_folder import check_project_folder

DEFAULT_PORT = 4141
FOLDER = Path("build/lineage")


@click.command()
@click.option("--env", "-e", help="Environment of conf/, as of the run whose lineage is shown.")
@click.option("--params", default="", help="Parameters, as `kedro run` takes them: experiment=NAME,...")
@click.option("--view", is_flag=True, help="Show it on a page of this machine, at 127.0.0.1, and build nothing.")
@click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="Of the page.")
def lineage(env: str | None, params: str, view: bool, port: int) -> None:
    """Build the lineage of an experiment as a static site, in build/lineage/EXPERIMENT."""
    from kedro.framework.cli.utils import _split_params

    try:
        check_project_folder(Path.cwd())
    except InputError as error:
        raise click.ClickException(str(error)) from error
    from med_lora.config_loader import DEFAULT_EXPERIMENT, EXPERIMENT_VARIABLE
    from med_lora.lineage.site import build_site, load_lineage, serve_lineage

    given = _split_params(click.get_current_context(), click.Option(["--params"]), params)
    load_lineage(Path.cwd(), env, given)
    if view:
        click.echo(f"http://127.0.0.1:{port} (Ctrl-C ends)")
        serve_lineage(Path.cwd(), port)
        return
    experiment = given.get("experiment", os.environ.get(EXPERIMENT_VARIABLE, DEFAULT_EXPERIMENT))
    folder = FOLDER / str(experiment)
    build_site(Path.cwd(), folder)
    click.echo(f"Built {folder}; see it with: python -m http.server --bind 127.0.0.1 --directory {folder}")
