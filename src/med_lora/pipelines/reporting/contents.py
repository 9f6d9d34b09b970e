"""The order of the report: its sections, and the figures in each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

# In the order of the page. Those in OPTIONAL are there where the report was given what they show.
SECTIONS = {
    "comparison": "Base and tuned model",
    "controls": "Null controls",
    "study": "Beside a published study",
    "figures": "Figures",
    "training": "Training",
    "conduct": "What the answers are like",
    "parts": "Parts of the test set",
    "general-english": "General English",
    "published": "As studies publish it",
    "retrieval": "With passages",
    "judge": "A language model as judge",
    "people": "People",
    "divergence": "Do the tracks agree?",
    "benchmarks": "Exams",
    "latency": "Time of an answer",
    "canaries": "Secrets in the training data",
    "probes": "Fixed questions",
    "examples": "Examples",
    "errors": "Where the tuned model did worst",
    "data": "Data",
    "settings": "Settings",
    "run": "Run",
    "versions": "Versions",
    "checklists": "Reporting checklists",
    "limitations": "Limitations",
}
OPTIONAL = frozenset(
    {"study", "retrieval", "judge", "people", "divergence", "benchmarks", "latency", "canaries", "probes"}
)
# Figures by section; one that is named nowhere is shown at the end of "figures".
FIGURES: dict[str, tuple[str, ...]] = {
    "figures": ("perplexity_bars", "score_bars", "score_distributions", "length_against_score"),
    "training": ("loss_curve", "learning_rate", "epoch_scores"),
    "general-english": ("forgetting",),
    "judge": ("judge",),
    "divergence": ("divergence",),
    "benchmarks": ("benchmark_bars",),
    "latency": ("latency",),
}

Places = dict[str, dict[str, dict[str, Any]]]  # section to figure to its element id and number


def list_sections(given: Collection[str], places: Places) -> dict[str, str]:
    """Ids and titles of the sections that the report has."""
    absent = OPTIONAL - set(given)
    absent |= {section for section in ("figures", "training") if not places.get(section)}
    return {section: heading for section, heading in SECTIONS.items() if section not in absent}


def place_figures(figures: Mapping[str, Any]) -> tuple[dict[str, Any], Places]:
    """Figures with a trace by element id, and where each stands, numbered in the order of the page."""
    of = {
        name.removesuffix("_figure"): figure for name, figure in figures.items() if figure is not None and figure.data
    }
    placed = {name for names in FIGURES.values() for name in names}
    order = {**FIGURES, "figures": (*FIGURES["figures"], *sorted(set(of) - placed))}
    places: Places = {section: {} for section in order}
    number = 0
    for section, names in order.items():
        for name in names:
            if name in of:
                number += 1
                places[section][name] = {"id": f"{name.replace('_', '-')}-figure", "number": number}
    drawn = {place["id"]: of[name] for section in places.values() for name, place in section.items()}
    return drawn, places
