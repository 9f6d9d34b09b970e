"""The Dockerfile and .dockerignore as tests read them, without docker."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import PurePosixPath
from typing import NamedTuple


class Instruction(NamedTuple):
    """An instruction, its continued lines joined."""

    name: str
    value: str

    def words(self) -> list[str]:
        return json.loads(self.value) if self.value.startswith("[") else shlex.split(self.value)

    def pairs(self) -> dict[str, str]:
        """Of ARG and ENV: ``name=value ...``."""
        return dict(word.split("=", 1) for word in self.words())


def read_instructions(text: str) -> list[Instruction]:
    """The instructions; comment lines are left out, also between continued lines."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines()]


def is_ignored(path: str, patterns: list[str]) -> bool:
    """Whether a file of the context is left out: the last pattern decides that matches it or a folder above it."""
    file = PurePosixPath(path)
    places = [str(place) for place in (file, *file.parents[:-1])]
    ignored = False
    for pattern in patterns:
        bare = pattern.removeprefix("!").strip("/")
        if any(re.fullmatch(_expression(bare), place) for place in places):
            ignored = not pattern.startswith("!")
    return ignored


def read_patterns(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _expression(pattern: str) -> str:
    """``**`` stands for any number of folders, ``*`` for any part of a name."""
    parts = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*"}
    return re.sub(r"\*\*/|\*\*|\*|[^*]+", lambda found: parts.get(found[0]) or re.escape(found[0]), pattern)
