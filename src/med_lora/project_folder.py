"""Whether a command is run where the project lies."""

from __future__ import annotations

import tomllib
from pathlib import Path

from med_lora.errors import InputError


def check_project_folder(folder: Path) -> None:
    """Raise an InputError unless this project lies in ``folder``."""
    try:
        settings = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        found = settings["tool"]["kedro"]["package_name"] == "med_lora"
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        found = False
    if not found:
        raise InputError(
            f"There is no med_lora project in {folder} (its pyproject.toml names none); go to the folder that "
            "`kedro run` is started in."
        )
