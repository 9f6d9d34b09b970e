"""The data sheet: what the run knows about its data, and what a person has to add."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

from med_lora.pipelines.data_report.wording import ACTIONS, count, describe_leakage, in_words

HEADINGS = (
    *("Motivation", "Composition", "Collection process", "Preprocessing, cleaning and labelling"),
    *("Uses", "Distribution", "Maintenance"),
)
# what CommonMark reads anywhere, and what it reads at the beginning of a list item
_MARKS = re.compile(r"[\\`*_\[\]<>&]|^[#+=~-]")
_NUMBERED = re.compile(r"^(\d+)([.)])")
_SPACES = re.compile(r"\s+")
_BLANK_LINES = re.compile(r"\n{3,}")


def write_datasheet(summary: dict[str, Any], experiment: str, description: str) -> str:
    """The data sheet as CommonMark, under the headings of Gebru et al. (2021, arXiv:1803.09010).

    Names from the configuration and the data are escaped, so that they read as they are written.

    Args:
        summary: as :func:`summarise_data` returns it.
        experiment: its name.
        description: what it asks.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # no HTML is made here
    environment.filters |= {"md": escape_markdown, "plain": in_words, "n": lambda number: f"{number:,}"} | {
        "count": count
    }
    template = environment.from_string(files(__package__).joinpath("datasheet.md.j2").read_text(encoding="utf-8"))
    titles = {source["name"]: source["title"] for source in summary["sources"]}
    classes = [{**found, "words": ACTIONS[found["action"]]} for found in summary["screening"]]
    text = template.render(
        **{**summary, "screening": classes, "leakage": describe_leakage(summary["leakage"])},
        experiment=experiment,
        description=description,
        duplicates=sum(reason["rows"] for reason in summary["reasons"] if reason["stage"] == "deduplicate"),
        benchmark_titles=[titles[name] for name in summary["settings"]["benchmarks"]],
    )
    return _BLANK_LINES.sub("\n\n", text).strip() + "\n"


def escape_markdown(value: str) -> str:
    """Text on one line in which no character means anything to CommonMark."""
    marked = _MARKS.sub(r"\\\g<0>", _SPACES.sub(" ", value).strip())
    return _NUMBERED.sub(r"\1\\\2", marked)
