"""Reporting checklists, filled in where software knows the answer."""

from __future__ import annotations

from importlib.resources import files
from string import Formatter
from typing import Any

from med_lora.pipelines.reporting.exports.checklist_facts import Facts

CHECKLISTS = ("tripod_llm", "chart", "mi_claim_gen")
STATUSES = ("filled", "to fill", "does not apply")


def fill_checklists(facts: Facts) -> dict[str, Any]:
    """Every item of TRIPOD-LLM, CHART and MI-CLAIM-GEN with an answer, a hint for a person, or why it does not apply.

    Args:
        facts: as :func:`gather_facts` returns them.

    Returns:
        By the checklist's name: citation, source (what is known of the numbering), items (item, asks, status, answer)
        and counts (status to number of items).
    """
    return {checklist["name"]: _fill(checklist, facts) for checklist in map(read_checklist, CHECKLISTS)}


def read_checklist(name: str) -> dict[str, Any]:
    """A checklist as its file states it: name, citation, source, items."""
    import yaml

    checklist: dict[str, Any] = yaml.safe_load(
        (files(__package__) / "checklists" / f"{name}.yml").read_text(encoding="utf-8")
    )
    return checklist


def _fill(checklist: dict[str, Any], facts: Facts) -> dict[str, Any]:
    items = [
        {
            "item": item["item"],
            "asks": item["asks"],
            **dict(zip(("status", "answer"), answer(item, facts), strict=True)),
        }
        for item in checklist["items"]
    ]
    counts = {status: sum(item["status"] == status for item in items) for status in STATUSES}
    return {"citation": checklist["citation"], "source": checklist["source"], "items": items, "counts": counts}


def answer(item: dict[str, Any], facts: Facts) -> tuple[str, str]:
    """Status and answer of an item.

    Args:
        item: with ``answer`` (filled if all facts it names are known), ``hint`` (what a person writes), and ``needs``
            with ``without`` (the fact that the item is about, and why it does not apply where that is unknown).
        facts: name to text; None for what is unknown.
    """
    if "needs" in item and facts.get(item["needs"]) is None:
        return "does not apply", item["without"]
    if "answer" in item and all(facts[name] is not None for name in named_facts(item["answer"])):
        return "filled", _put(item["answer"], facts)
    return "to fill", _put(item.get("hint", "The software does not know this."), facts)


def named_facts(text: str) -> list[str]:
    """The facts that a text of a checklist's file names in braces."""
    return [name for _, name, _, _ in Formatter().parse(text) if name]


def _put(text: str, facts: Facts) -> str:
    return " ".join(text.format_map({name: fact or "(not known)" for name, fact in facts.items()}).split())


def write_checklists(checklists: dict[str, Any]) -> str:
    """Markdown: a table a checklist, what is left to fill first counted."""
    parts = [
        "# Reporting checklists",
        "Filled in from the run where software knows the answer. An item that says **to fill** needs a person; so does "
        "a last look at the others, whose answers state what was done and not that it was right.",
    ]
    for name, checklist in checklists.items():
        counts = ", ".join(f"{status}: {count}" for status, count in checklist["counts"].items())
        rows = [
            f"| {row['item']} | {_cell(row['asks'])} | {_mark(row['status'])} | {_cell(row['answer'])} |"
            for row in checklist["items"]
        ]
        table = "\n".join(["| item | asks for | status | answer |", "| --- | --- | --- | --- |", *rows])
        parts += [f"## {name}", f"{checklist['citation']}. {checklist['source']}", f"{counts.capitalize()}.", table]
    return "\n\n".join(parts) + "\n"


def count_checklists(checklists: dict[str, Any]) -> list[dict[str, Any]]:
    """For the report, a mapping a checklist: checklist, citation, items, filled, to_fill, does_not_apply."""
    return [
        {"checklist": name, "citation": checklist["citation"], "items": len(checklist["items"])}
        | {status.replace(" ", "_"): count for status, count in checklist["counts"].items()}
        for name, checklist in checklists.items()
    ]


def _mark(status: str) -> str:
    return f"**{status}**" if status == "to fill" else status


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
