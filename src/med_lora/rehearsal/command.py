"""The command ``rehearse``; whatever takes time to import waits until the command has been understood."""

from __future__ import annotations

from pathlib import Path

import click

from med_lora.errors import InputError
from med_lora.project_folder import check_project_folder


@click.command()
@click.argument("name")
@click.option("--smallest", is_flag=True, help="As small as the tests run it, in seconds.")
def rehearse(name: str, smallest: bool) -> None:
    """Run the experiment NAME from raw corpora to its report on this CPU, with a small stand-in of its model.

    The figures mean nothing; that everything runs, and what the report shows, is the point.
    """
    try:
        check_project_folder(Path.cwd())
        from med_lora.rehearsal.run import rehearse_experiment
        from med_lora.rehearsal.sizes import SMALLEST, USUAL

        rehearse_experiment(Path.cwd(), name, SMALLEST if smallest else USUAL)
    except InputError as error:
        raise click.ClickException(str(error)) from error
