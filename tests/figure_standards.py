"""What every figure of the project holds to: readable without colours, at half size, and without the page around it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import plotly.io as pio

from med_lora.report_page import figures as style

PALETTE = {style.ORANGE, style.SKY, style.GREEN, style.BLUE, style.VERMILION, style.PURPLE, style.GREY, style.INK}
NEUTRAL = {"#ffffff", "#777777"}
LEAST_TEXT = 13  # pixels of a figure 700 wide
MOST_BYTES = 1_000_000
UNIT = re.compile(r"\(.+\)|tokens|seconds|nats|bits|rows|score|rating|no unit|tuned − base", re.DOTALL)


def check_figure(figure: Any) -> None:
    """Every standard that a single figure can be held to."""
    made = json.loads(figure.to_json())
    assert figure.layout.template.to_plotly_json() == pio.templates[style.TEMPLATE].to_plotly_json()
    caption = figure.layout.meta["caption"]
    assert caption.strip()
    texts = [caption, *_texts(made["layout"], "text"), *_labels(made)]
    assert not [text for text in texts if re.search(r"\b(nan|None|inf)\b", text)]
    assert [text for text in texts if re.search(r"\bn = [\d,]+", text)], "n is not stated"
    strange = _colours([made["data"], _without_template(made)]) - PALETTE - NEUTRAL
    assert not strange, f"strange colours: {strange}"
    assert all(size >= LEAST_TEXT for size in _sizes(_without_template(made)))
    assert len(figure.to_json()) < MOST_BYTES
    _check_axes(figure)
    _check_marks(figure)


def _check_axes(figure: Any) -> None:
    """Every axis of numbers has a title with its unit, or stands in one row or column with one that has."""
    for letter in "xy":
        axes = {axis for trace in figure.data if (axis := _axis(figure, trace, letter))}
        numeric = [figure.layout[axis] for axis in sorted(axes) if _is_numeric(figure, axis)]
        titles = [axis.title.text for axis in numeric if axis.title.text]
        assert not numeric or titles, f"no {letter} axis has a title"
        assert all(UNIT.search(text) for text in titles), titles


def _axis(figure: Any, trace: Any, letter: str) -> str:
    name = getattr(trace, f"{letter}axis", None) or letter
    axis = f"{letter}axis{name[1:]}"
    return "" if figure.layout[axis].visible is False else axis


def _is_numeric(figure: Any, axis: str) -> bool:
    """False for names beside bars: what they name is plain."""
    letter = axis[0]
    values = [value for trace in figure.data if _axis(figure, trace, letter) == axis for value in (trace[letter] or ())]
    shown = figure.layout[axis]
    is_named = shown.type == "category" or any(isinstance(text, str) for text in shown.ticktext or ())
    return not is_named and bool(values) and not any(isinstance(value, str) for value in values)


def _check_marks(figure: Any) -> None:
    """Two traces of a panel that differ in colour differ in a symbol, a dash, a pattern or their kind as well."""
    for one, other in combinations(figure.data, 2):
        if (one.xaxis, one.yaxis) != (other.xaxis, other.yaxis) or _looks(one)[0] == _looks(other)[0]:
            continue
        named = [{value for value in trace.y or () if isinstance(value, str)} for trace in (one, other)]
        apart = all(named) and not named[0] & named[1]
        assert apart or _looks(one)[1] != _looks(other)[1], f"{one.name} and {other.name} differ in colour alone"


def _looks(trace: Any) -> tuple[str, tuple[Any, ...]]:
    """The colour, and every other trait."""
    made = json.loads(trace.to_json())
    marker, line = made.get("marker", {}), made.get("line", {})
    colour = str(marker.get("color") or line.get("color"))
    traits = (made["type"], made.get("mode"), marker.get("symbol"), line.get("dash"))
    return colour, (*traits, marker.get("pattern", {}).get("shape"), bool(made.get("text")))


def _without_template(made: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in made["layout"].items() if key != "template"}


def _texts(node: Any, wanted: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "template":
                continue
            if key == wanted and isinstance(value, str):
                yield value
            yield from _texts(value, wanted)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value, wanted)


def _labels(made: dict[str, Any]) -> Iterator[str]:
    """Names of traces, of bars and of ticks."""
    for trace in made["data"]:
        yield str(trace.get("name", ""))
        for letter in "xy":
            yield from (value for value in trace.get(letter, ()) if isinstance(value, str))
    for key, axis in made["layout"].items():
        if key.startswith(("xaxis", "yaxis")):
            yield from map(str, axis.get("ticktext", ()))


def _colours(node: Any) -> set[str]:
    return set(re.findall(r"#[0-9a-fA-F]{6}\b", json.dumps(node)))


def _sizes(node: Any) -> Iterator[float]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key.endswith("font") and isinstance(value, dict) and "size" in value:
                yield value["size"]
            yield from _sizes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _sizes(value)
