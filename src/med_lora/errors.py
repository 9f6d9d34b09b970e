"""The errors a user can mend: one sentence with what, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Configuration or data that the user has to mend.

    The message is one sentence that names the place (file, row, key) and the remedy, and never quotes record
    text. A run that raises it ends with that sentence alone and exit code 1, and a notebook's cell with it alone.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return [str(self)]


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause that points from a mistyped name to the nearest known one, or lists them all."""
    names = sorted(known)
    matches = get_close_matches(name, names, n=1)
    if matches:
        return f"; did you mean {matches[0]!r}?"
    return f"; known are {', '.join(names)}" if names else ""
