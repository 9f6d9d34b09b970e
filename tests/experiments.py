"""Experiments that tests write into a copied project, their runs, and what these left behind."""

from __future__ import annotations

import copy
import functools
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from kedro.config import OmegaConfigLoader
from omegaconf.resolvers import oc

from tests.conftest import ROOT
from tests.projects import kedro, newest

SYMPTOMS = ["pain", "swelling", "numbness", "stiffness", "weakness", "itching", "burning"]
PARTS = ["knee", "shoulder", "wrist", "ankle", "hip", "elbow", "neck", "thumb", "heel", "jaw", "spine"]
REMEDIES = ["rest", "ice", "massage", "exercise", "stretching", "heat", "a splint", "a brace", "taping", "traction"]
REMEDIES += ["swimming", "walking", "cycling"]
SMALL_SPLIT = {"validation": 1, "test": 2}


def pair(number: int) -> tuple[str, str]:
    """Question and answer that cleaning leaves as they are; up to 77 of them are no near duplicates."""
    symptom, part = SYMPTOMS[number % len(SYMPTOMS)], PARTS[number % len(PARTS)]
    remedy, other = REMEDIES[number % len(REMEDIES)], REMEDIES[(5 * number + 3) % len(REMEDIES)]
    return f"Does {remedy} ease {symptom} near the {part}?", (
        f"{remedy.capitalize()} eases {symptom}, the {part} mends, and {other} helps {number + 2} weeks later."
    )


def corpus(layout: str, files: str | list[str], **changes: Any) -> dict[str, Any]:
    return {"layout": layout, "title": "A corpus of a test", "licence": "CC0-1.0", "files": files, **changes}


def base_parameters() -> dict[str, Any]:
    """Parameters of ``conf/base``, without those of an experiment; the caller's own copy."""
    return copy.deepcopy(_resolve_base())


@functools.cache
def _resolve_base() -> dict[str, Any]:
    loader = OmegaConfigLoader(
        str(ROOT / "conf"),
        base_env="base",
        default_run_env="cpu",
        custom_resolvers={"oc.env": oc.env},
        merge_strategy={"parameters": "soft", "globals": "soft"},
    )
    parameters: dict[str, Any] = loader["parameters"]
    return parameters


def write_experiment(project: Path, name: str, corpora: dict[str, Any], **data_engineering: Any) -> None:
    """``conf/experiments/NAME.yml`` that uses all ``corpora`` but its benchmarks."""
    benchmarks = data_engineering.get("benchmarks", [])
    used = {"corpora": [key for key in corpora if key not in benchmarks], "split": SMALL_SPLIT}
    content = {"description": "a test", "corpora": corpora, "data_engineering": used | data_engineering}
    (project / "conf/experiments" / f"{name}.yml").write_text(yaml.safe_dump(content, sort_keys=False))


def run_experiment(
    project: Path, name: str, start: Callable[..., subprocess.CompletedProcess[str]] = kedro, /, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Data engineering of the experiment, with the raw files of ``project/raw`` unless a variable names others."""
    arguments = ["run", "--pipelines=data_engineering", f"--params=experiment={name}"]
    return start(project, *arguments, **{"MED_LORA_RAW": str(project / "raw"), **variables})


def outcomes(project: Path, name: str) -> dict[str, dict[str, int]]:
    """Corpus -> outcome -> rows of ``row_outcomes.csv``; rows read as ``rows_read``, classes found left out."""
    table = read_counts(project, name, "row_outcomes")
    found: dict[str, dict[str, int]] = {}
    for corpus_name, rows in table[table["stage"] != "screen"].groupby("corpus"):
        (read,) = set(rows["rows_read"])
        found[str(corpus_name)] = dict(zip(rows["outcome"], rows["rows"], strict=True)) | {"rows_read": read}
    return found


def read_counts(project: Path, name: str, table: str) -> pd.DataFrame:
    file = newest(project, f"08_reporting/{name}/{table}.csv") / f"{table}.csv"
    return pd.read_csv(file, keep_default_na=False)


def read_split(project: Path, name: str, split: str) -> pd.DataFrame:
    from datasets import Dataset

    folder = newest(project, f"05_model_input/{name}/{split}") / split
    return Dataset.from_file(str(folder / "data.arrow")).to_pandas()


def read_splits(project: Path, name: str) -> pd.DataFrame:
    """All pairs of the splits, by id."""
    parts = [read_split(project, name, split).assign(split=split) for split in ("train", "validation", "test")]
    return pd.concat(parts, ignore_index=True).set_index("id")


def end_sentence(result: subprocess.CompletedProcess[str]) -> str:
    """The one sentence that a run stopped with."""
    assert result.returncode == 1, result.stderr[-3000:]
    assert "Traceback" not in result.stdout + result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    return result.stderr.split("Error: ")[-1].strip()
