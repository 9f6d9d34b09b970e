"""Runs as lines of text that fit a terminal of 100 columns."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from med_lora.errors import InputError
from med_lora.report_page.wording import show_bytes, show_seconds
from med_lora.runs.differences import (
    Difference,
    State,
    compare_inputs,
    compare_outputs,
    compare_settings,
    compare_surroundings,
    same_pairs,
)
from med_lora.runs.history import Run

WIDTH = 100
_INDENT = "  "
# Columns of the list with their widths; an id has 24 characters.
_COLUMNS = {"run": 24, "started (UTC)": 16, "experiment": 19, "env": 10, "status": 10, "took": 11}
_MEASURES = {"perplexity": "perplexity", "rougeL": "ROUGE-L"}


def list_lines(runs: Sequence[Run], long: bool = False) -> Iterator[str]:
    """Two lines a run, the newest first: when, what, where and how it ended; then its headline, whole with ``long``."""
    yield _row(_COLUMNS)
    for run in sorted(runs, key=lambda run: run.id, reverse=True):
        manifest = run.manifest
        started = manifest["started"][:16].replace("T", " ")
        values = [run.label, started, manifest["experiment"], manifest.get("env") or "", run.status]
        yield _row([*values, show_seconds(manifest.get("seconds"))])
        if long:
            yield from _details(run)
        else:
            yield _INDENT + textwrap.shorten(_remark(run), WIDTH - len(_INDENT), placeholder=" ...")


def _row(values: Iterable[str]) -> str:
    cells = (_cut(value, width).ljust(width) for value, width in zip(values, _COLUMNS.values(), strict=True))
    return "  ".join(cells).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _remark(run: Run) -> str:
    """The headline, or what stands in its place."""
    manifest = run.manifest
    if manifest.get("rerun_of"):
        return f"Rerun of {manifest['rerun_of']}. {manifest.get('headline') or ''}"
    if manifest.get("headline"):
        return str(manifest["headline"])
    if manifest.get("error"):
        place = f" in {manifest['error']['node']}" if manifest["error"].get("node") else ""
        return f"{manifest['error']['kind']}{place}."
    return f"No headline; pipelines: {', '.join(manifest.get('pipelines') or [])}."


def _details(run: Run) -> Iterator[str]:
    manifest = run.manifest
    facts = {
        "id": run.id,
        "machine": (manifest.get("machine") or {}).get("kind") or "unknown",
        "pipelines": ", ".join(manifest.get("pipelines") or []),
        "artifacts": f"{len(manifest['outputs'])}, {show_bytes(sum(entry['bytes'] for entry in manifest['outputs']))}",
        "": _remark(run),
    }
    for key, value in facts.items():
        yield from textwrap.wrap(
            f"{key + ': ' if key else ''}{value}", WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT
        )
    yield ""


def compare_lines(project: Path, first: Run, second: Run) -> Iterator[str]:
    """What could explain a difference, whether the same questions were asked, the figures, then what was written."""
    for name, run in (("first", first), ("second", second)):
        name_of = f"{run.name} ({run.id})" if run.name else run.id
        yield f"{name + ':':8}{name_of}, {run.manifest['experiment']}, {run.status}"
    yield ""
    surroundings = compare_surroundings(first.manifest, second.manifest)
    yield from difference_lines({"parameters": compare_settings(first, second), **surroundings})
    yield from difference_lines({"inputs": compare_inputs(first, second)})
    yield from unknown_code_lines([first, second])
    yield ""
    yield _pairs_line(same_pairs(first, second))
    yield from _figure_lines(project, first, second)
    yield ""
    yield from _output_lines(first, second)


def difference_lines(kinds: dict[str, list[Difference]]) -> Iterator[str]:
    """A heading for each kind of difference, and a line for each fact."""
    for kind, differences in kinds.items():
        yield f"{kind}: {f'{len(differences)} differ' if differences else 'the same'}"
        key_width = min(max((len(one.key) for one in differences), default=0), 44)
        for one in differences:
            start = f"{_INDENT}{one.key.ljust(key_width)}  "
            room = max((WIDTH - len(start) - 4) // 2, 12)
            yield f"{start}{_cut(_show(one.first), room)} -> {_cut(_show(one.second), room)}"


def unknown_code_lines(runs: Sequence[Run]) -> Iterator[str]:
    """A line if the code of a run was in no commit, so that nobody can say whether it has changed."""
    unknown = [run.label for run in runs if not (run.manifest.get("code") or {}).get("commit")]
    if unknown:
        yield f"(Without a commit, nobody knows the code of {' and '.join(unknown)}.)"


def _show(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _pairs_line(same: bool | None) -> str:
    if same is None:
        return "test pairs: at least one of the runs has recorded none."
    if same:
        return "test pairs: the same."
    return "test pairs: different, so that the figures are not of the same questions."


def _figure_lines(project: Path, first: Run, second: Run) -> Iterator[str]:
    figures = [read_figures(project, run) for run in (first, second)]
    keys = list(dict.fromkeys(key for given in figures for key in given))
    if keys:
        yield f"{_INDENT}{'':20}{'first':30}second"
    for key in keys:
        yield f"{_INDENT}{key:20}{figures[0].get(key, ''):30}{figures[1].get(key, '')}".rstrip()


def read_figures(project: Path, run: Run) -> dict[str, str]:
    """Perplexity and ROUGE-L of both arms with their intervals, from the run's headline if it is still there.

    Raises:
        InputError: if it is not as the run recorded it.
    """
    entry = run.entry("headline")
    if entry is None or not entry["files"] or "://" in entry["path"] or not (project / entry["path"]).is_file():
        return {}
    content = (project / entry["path"]).read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["files"].get(""):
        raise InputError(f"{entry['path']} was changed since the run {run.id} wrote it; bring it back, or delete it.")
    headline = json.loads(content)
    figures = {}
    for measure, shown in _MEASURES.items():
        for arm in ("base", "tuned"):
            values = [headline.get(measure, {}).get(f"{arm}{part}") for part in ("", "_low", "_high")]
            if None not in values:
                mean, low, high = (f"{value:.4g}" for value in values)
                figures[f"{shown}, {arm}"] = f"{mean} [{low}, {high}]"
    return figures


def _output_lines(first: Run, second: Run) -> Iterator[str]:
    outputs = compare_outputs(first, second)
    states = get_args(State)
    counts = {state: [one for one in outputs if one.state == state] for state in states}
    yield "outputs: " + (", ".join(f"{len(found)} {state}" for state, found in counts.items() if found) or "none")
    for state in states[1:]:
        names = [f"{one.dataset}{' (clock)' if one.reads_clock else ''}" for one in counts[state]]
        if names:
            yield from textwrap.wrap(
                f"{state}: {', '.join(names)}", WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT * 2
            )
