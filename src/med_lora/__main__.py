"""``python -m med_lora``: rehearsals, and what is done with a finished run by hand. Runs are ``kedro run``."""

from __future__ import annotations

import click

from med_lora.ask.command import ask
from med_lora.lineage.command import lineage
from med_lora.rehearsal.command import rehearse
from med_lora.runs.command import runs


@click.group()
def main() -> None:
    """Commands beside `kedro run`."""


main.add_command(ask)
main.add_command(lineage)
main.add_command(rehearse)
main.add_command(runs)

if __name__ == "__main__":
    main(prog_name="python -m med_lora")
