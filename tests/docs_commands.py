"""The commands of README and docs, read from their pages, with what stands for a name of the reader's filled in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = {"", "bash", "sh", "console"}
# What a page leaves to its reader.
PLACEHOLDERS = {
    "<id of the rerun>": "latest",
    "<id>": "RUN_ID",
    '$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)': "first-machine",
    "$SLURM_NNODES": "2",
    "small 2026-11-22": "RUN_ID",
    "RUN RUN": "RUN_ID latest",
    "RUN...": "latest",
    "/data/corpora": "raw",
    "experiment=<name>": "experiment=gpt2_medical_terms",
    "--env=<machine>": "--env=a100",
    "STUDY=<name>": "STUDY=gpt2_medical_terms",
}
_WHOLE = {"RUN": "RUN_ID", "NAME": "embedded", "EXPERIMENT": "embedded"}  # as a word or value of their own
_STUDY = {"NAME": "gpt2_medical_terms"}
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`((?:kedro|make|pip install|python -m med_lora) [^`]+)`")
_ASSIGNMENT = re.compile(r"^[A-Z_]+=")


@dataclass(frozen=True)
class Command:
    """A command as a page has it.

    Attributes:
        page: name of the page.
        words: what a shell makes of it once placeholders are filled in, without variables set in front of it.
        variables: set in front of it, or exported above it in the same block.
    """

    page: str = field(compare=False)
    words: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()

    def option(self, *names: str) -> str:
        """The value of an option of the command, "" without it."""
        for place, word in enumerate(self.words):
            name, given, value = word.partition("=")
            if name in names:
                return value if given else self.words[place + 1]
        return ""

    @property
    def params(self) -> dict[str, str]:
        """Values of ``--params`` by name."""
        return dict(pair.split("=", 1) for pair in self.option("--params").split(",") if pair)


def read_commands() -> list[Command]:
    """Every command of the pages once, in their order."""
    pages = ((page.name, page.read_text(encoding="utf-8")) for page in PAGES)
    return list(dict.fromkeys(command for name, text in pages for command in read_page(name, text)))


def read_page(page: str, text: str) -> Iterator[Command]:
    """Those of the fenced blocks, then those in the text that name an option or argument."""
    for language, block in _FENCE.findall(text):
        if language.strip() in SHELL and not block.startswith("conf/"):  # the tree of the README
            yield from _read_block(page, block)
    for span in _SPAN.findall(_FENCE.sub("", text)):
        yield from _read_block(page, " ".join(span.split()))


def _read_block(page: str, block: str) -> Iterator[Command]:
    exported: dict[str, str] = {}
    for line in block.replace("\\\n", " ").splitlines():
        for placeholder, value in PLACEHOLDERS.items():
            line = line.replace(placeholder, value)
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if words[0] == "export":
            exported |= dict(word.split("=", 1) for word in words[1:])
            continue
        names = _STUDY if "rehearse" in words else _WHOLE
        words = [_fill_in(word, names) for word in words]
        own = {}
        while _ASSIGNMENT.match(words[0]):
            name, own[name] = words.pop(0).split("=", 1)
        words = words[1:] if words[0] == "srun" else words
        yield Command(page, tuple(words), tuple((exported | own).items()))


def _fill_in(word: str, names: dict[str, str]) -> str:
    """A placeholder that is a whole word, or a whole value in a list of ``key=value``."""
    return re.sub(r"(^|=)([A-Z]+)(?=,|$)", lambda found: found[1] + names.get(found[2], found[2]), word)
