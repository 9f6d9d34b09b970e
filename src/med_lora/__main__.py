"""``python -m med_lora``: what is done with a finished run by hand. Runs themselves are ``kedro run``."""

from __future__ import annotations

import click

from med_lora.ask.command import ask


@click.group()
def main() -> None:
    """Commands beside `kedro run`."""


main.add_command(ask)

if __name__ == "__main__":
    main(prog_name="python -m med_lora")
