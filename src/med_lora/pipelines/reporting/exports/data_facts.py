"""What software knows of the data of a run, as sentences that answer the items of reporting checklists."""

from __future__ import annotations

from typing import Any

from med_lora.pipelines.reporting.exports.card_facts import describe_splits


def describe_data(data: dict[str, Any]) -> dict[str, str | None]:
    """Where the pairs come from, under which licences, how they were cleaned and split; None for what is unknown."""
    return {
        "language": data["settings"]["cleaning"]["language"] or "any (not filtered)",
        "sources": _list_sources(data),
        "public_data": _list_public(data),
        "licences": _list_licences(data),
        "splits": describe_splits(data),
        "cleaning": _describe_cleaning(data),
        "left_out": _describe_left_out(data),
        "generator": _name_generator(data),
    }


def _sources(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [source for source in data["sources"] if source["use"] == "data"]


def _list_sources(data: dict[str, Any]) -> str:
    named = [f"{source['title']} ({source['licence']})" for source in _sources(data)]
    return f"Corpora: {', '.join(named)}."


def _list_public(data: dict[str, Any]) -> str | None:
    """Where the corpora are, if all of them are on the hub."""
    sources = _sources(data)
    if not all(source["hub"] for source in sources):
        return None
    named = [f"{source['hub']['id']} at {source['hub']['revision']} ({source['licence']})" for source in sources]
    return f"On the Hugging Face hub: {', '.join(named)}."


def _list_licences(data: dict[str, Any]) -> str | None:
    """The licences, if every one is known."""
    licences = {source["title"]: source["licence"] for source in _sources(data)}
    if any(licence.lower() == "unknown" for licence in licences.values()):
        return None
    return f"Licences: {', '.join(f'{corpus}: {licence}' for corpus, licence in licences.items())}."


def _describe_cleaning(data: dict[str, Any]) -> str:
    cleaning, near = data["settings"]["cleaning"], data["settings"]["deduplication"]["near_jaccard"]
    return (
        f"Answers of {cleaning['min_answer_words']} to {cleaning['max_answer_words']} words were kept, exact and near "
        f"duplicates (Jaccard similarity of {near:g} or more) removed."
    )


def _describe_left_out(data: dict[str, Any]) -> str:
    reasons = [f"{reason['rows']:,} {reason['reason'].replace('_', ' ')}" for reason in data["reasons"]]
    return f"Left out: {', '.join(reasons)}." if reasons else "No row was left out."


def _name_generator(data: dict[str, Any]) -> str | None:
    if data["generator"] is None:
        return None
    return f"Pairs of the corpus 'generated' were written from passages by the language model {data['generator']}."
