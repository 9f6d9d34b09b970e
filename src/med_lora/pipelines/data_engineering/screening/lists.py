"""The lists of the package: given names, surnames, words that are no name or no city, regions that stay in a text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def read_list(name: str) -> frozenset[str]:
    """The entries of ``<name>.txt``, in lower case: separated by white space, or by ``;`` where they hold spaces."""
    text = files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    if any(";" in line for line in lines):
        return frozenset(entry.strip() for line in lines for entry in line.split(";"))
    return frozenset(" ".join(lines).split())
