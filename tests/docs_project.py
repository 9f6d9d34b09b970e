"""The project in which the commands of the pages are tried: what their reader would have written, and small."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from tests.conftest import ROOT
from tests.experiments import pair
from tests.projects import SMALL, copy_project

# What stands in the reader's experiment where a page gives its command, and small numbers of everything.
SETTINGS: dict[str, Any] = {
    "corpora": {"exam": {"layout": "choices", "title": "An exam", "licence": "CC0-1.0", "files": "exam.jsonl"}},
    "data_engineering": {"benchmarks": ["exam"]},
    "sweep": {"grid": {"training.lora.r": [2, 4]}},
    "search": {"space": {"training.lora.r": {"choices": [2, 4]}}, "trials": 2, "startup_trials": 1},
    "people": {"raters": ["anna"], "items": 3},
    "judge": {"items": 3, "repeats": 1},
    "retrieval": {"passages": 2, "candidates": 5, "context_tokens": 96},
    "latency": {"questions": 2, "warmup": 1, "new_tokens": 4},
}


def block_of(page: str, language: str, after: str = "") -> str:
    """The first fenced block of a page with this info string behind a text."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"^```{language}\n(.*?)^```", text[text.index(after) :], re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def prepare_project(target: Path) -> Path:
    """A copied project in which the experiments of the pages are there, and small."""
    project = copy_project(target)
    for name in ("Makefile", "requirements.lock"):
        (project / name).write_bytes((ROOT / name).read_bytes())
    experiments, small = project / "conf/experiments", OmegaConf.from_dotlist(SMALL.split(","))
    file = experiments / "embedded.yml"
    OmegaConf.save(OmegaConf.merge(OmegaConf.load(file), small, SETTINGS), file)
    mine = block_of("corpora.md", "yaml", "`conf/experiments/mine.yml`")
    OmegaConf.save(OmegaConf.merge(OmegaConf.create(mine), small), experiments / "mine.yml")
    template = OmegaConf.load(experiments / "my_corpus.yml")
    OmegaConf.save(OmegaConf.merge(template, small), experiments / "my_corpus.yml")
    (project / "conf/l40s").mkdir()
    (project / "conf/l40s/globals.yml").write_text(block_of("extending.md", "yaml globals"), encoding="utf-8")
    exam = [
        {"question": f"Which is number {n}?", "options": ["this", "that"], "answer_idx": "AB"[n % 2]} for n in range(8)
    ]
    (project / "data/01_raw/exam.jsonl").write_text("\n".join(map(json.dumps, exam)))
    (project / "raw/clinic").mkdir(parents=True)
    rows = ["question,answer", *(f'"{question}","{answer}"' for question, answer in map(pair, range(77)))]
    (project / "raw/clinic/questions.csv").write_text("\n".join(rows))
    (project / "runs/RUN_ID").mkdir(parents=True)
    (project / "runs/RUN_ID/rerun.yml").write_text("run: {}\n")
    return project


def return_sheets(project: Path) -> None:
    """A rater's sheet as it comes back."""
    from openpyxl import load_workbook

    from tests.test_second_track import fill

    sheets = max((project / "data/08_reporting/embedded/rating_sheets").iterdir())
    book = load_workbook(next(sheets.rglob("anna.xlsx")))
    fill(book["Ratings"], book["Preferences"], 0)
    returned = project / "data/01_raw/ratings/embedded"
    returned.mkdir(parents=True)
    book.save(returned / "anna.xlsx")
