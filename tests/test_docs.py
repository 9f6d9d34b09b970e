"""The pages under docs/: every experiment and every example file in them works as it stands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.datasets import CorpusDataset
from med_lora.datasets.readers import archives, documents, json_records, rows, tables
from med_lora.layouts import LAYOUTS
from med_lora.llm import client
from med_lora.parameters import CorpusParams, parse_parameters
from med_lora.pipelines.data_engineering.parsing import PARSE_FAULTS, parse_corpus

from .conftest import ROOT

PAGES = {page.name: page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md"))}
PAGE = PAGES["corpora.md"]
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", "".join(PAGES.values()), re.DOTALL | re.MULTILINE)
EXPERIMENTS = [block for block in BLOCKS if not block.startswith("hardware:")]  # that is a machine's
FILES = re.findall(r"^```\w+ (\S+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
NO_PAIRS = ("documents", "terms")


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("docs") / "conf"
    shutil.copytree(ROOT / "conf", copy)
    return copy


@pytest.mark.parametrize("text", EXPERIMENTS, ids=range(len(EXPERIMENTS)))
def test_every_experiment_of_the_pages_is_valid(text: str, conf: Path) -> None:
    described = text if text.startswith("description:") else f"description: an example\n{text}"
    (conf / "experiments/from_docs.yml").write_text(described, encoding="utf-8")
    loader = ExperimentConfigLoader(conf, "cpu", {"experiment": "from_docs"}, base_env="base", default_run_env="cpu")
    assert parse_parameters(loader["parameters"]).experiment == "from_docs"
    assert loader["catalog"]


def test_every_layout_has_an_example_file() -> None:
    assert {re.split(r"[./]", name)[0] for name, _ in FILES} == {*LAYOUTS, "medquad", "documents"}


@pytest.mark.parametrize(("name", "content"), FILES, ids=[name for name, _ in FILES])
def test_every_example_file_is_read_whole(name: str, content: str, tmp_path: Path) -> None:
    layout = re.split(r"[./]", name)[0]
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    corpus = {"layout": layout, "title": "example", "licence": "CC0-1.0", "files": Path(name).parts[0]}
    files = {key: corpus[key] for key in ("layout", "files")}
    records = CorpusDataset(name="example", corpora={"example": files}, root=str(tmp_path)).load()
    tables = records if layout in NO_PAIRS else parse_corpus(records, CorpusParams.model_validate(corpus), "example")
    (table,) = tables
    # one record a line, below the header of a CSV file; one document or pair in the others
    lines = len(content.splitlines()) - (name.endswith(".csv"))
    assert len(table) == (lines if "/" not in name else 1)
    assert set(table["fault"]) == {""}
    if layout not in NO_PAIRS:
        assert "" not in {*table["question"], *table["answer"]}


def test_every_setting_named_on_the_pages_exists() -> None:
    """Settings in the text are ``section.key``; those of the YAML blocks are checked above."""
    named = set(
        re.findall(
            r"`((?:data_engineering|prompt|training|evaluation|reporting|canaries|cleaning|passages)\.[\w.]+)`",
            "".join(PAGES.values()),
        )
    )
    known = ExperimentConfigLoader(ROOT / "conf", "cpu", {}, base_env="base", default_run_env="cpu")["parameters"]
    for name in named - {"training.train_adapter", "passages.py"}:  # a node and a module
        value = known["data_engineering"] if name.startswith(("cleaning", "passages")) else known
        for key in name.split("."):
            assert key in value, name
            value = value[key]
    assert len(named) >= 5


def test_reasons_of_parsing_are_all_named() -> None:
    (row,) = re.findall(r"^\| parse \| (.*) \|$", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == PARSE_FAULTS


@pytest.mark.parametrize(
    ("what", "limits"),
    [
        ("one record", [rows.MAX_RECORD_BYTES]),
        ("a `.json` array", [json_records.MAX_ARRAY_BYTES]),
        ("one member", [archives.MEMBER_LIMIT, archives.ARCHIVE_LIMIT]),
        ("an `.xlsx`", [tables.MAX_UNPACKED_BYTES]),
        ("one document", [documents.TEXT_LIMIT]),
        ("one response", [client.MAX_RESPONSE_BYTES]),
    ],
)
def test_limits_are_those_of_the_code(what: str, limits: list[int]) -> None:
    (row,) = re.findall(rf"^\| {re.escape(what)}.*\|(.*)\|$", PAGE, re.MULTILINE)
    sizes = [int(number) * 2 ** (30 if unit == "G" else 20) for number, unit in re.findall(r"(\d+) ([GM])iB", row)]
    assert sizes == limits
