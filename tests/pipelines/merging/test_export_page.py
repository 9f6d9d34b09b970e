"""docs/export.md: what it says of artifacts, settings, prompts and code holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.datasets.base_model import BaseModelDataset
from med_lora.models.merging import BaseFiles
from med_lora.parameters import PromptParams
from med_lora.prompts import render_prompt
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
PLAIN = PromptParams(template="plain", system=None)


@pytest.fixture
def places(tiny_model: Any, tokenizer: Any, tmp_path: Path) -> dict[str, str]:
    """Folders for the page's BASE, ADAPTER and MERGED."""
    from peft import LoraConfig, get_peft_model

    base, adapter = tmp_path / "base", tmp_path / "adapter"
    tiny_model.save_pretrained(base)
    tokenizer.save_pretrained(base)
    get_peft_model(tiny_model, LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"])).save_pretrained(adapter)
    return {"BASE": str(base), "ADAPTER": str(adapter), "MERGED": str(base)}


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_code_runs(code: str, places: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    exec(code, names := dict(places))
    if "model" in names:
        assert names["model"].config.vocab_size == len(names["tokenizer"])
    else:
        assert capsys.readouterr().out.strip() == render_prompt("What is gout?", PLAIN)


def test_requests_and_modelfile_ask_in_the_words_of_training() -> None:
    asked = re.findall(r'"prompt": "(.*?)",', PAGE)
    assert len(asked) == 2
    assert {text.encode().decode("unicode_escape") for text in asked} == {render_prompt("What is gout?", PLAIN)}
    (template,) = re.findall(r'^TEMPLATE """(.*?)"""', PAGE, re.DOTALL | re.MULTILINE)
    assert template == render_prompt("{{ .Prompt }}", PLAIN)


def test_artifacts_lie_where_the_page_says() -> None:
    catalog = ExperimentConfigLoader(ROOT / "conf", "cpu", {}, base_env="base", default_run_env="cpu")["catalog"]
    named = re.findall(r"`(\w+)/VERSION/(\w+)`", PAGE)
    assert len(named) == 5
    for folder, name in named:
        assert folder == name
        assert catalog[name]["versioned"]
        assert catalog[name]["filepath"] == f"data/06_models/embedded/{name}"


def test_settings_exist() -> None:
    known = ExperimentConfigLoader(ROOT / "conf", "cpu", {}, base_env="base", default_run_env="cpu")["parameters"]
    named = re.findall(r"`?\b((?:prompt|training|continued_pretraining|merging|evaluation)\.[a-z_]+)\b", PAGE)
    assert {"merging.dtype", "merging.tolerance", "prompt.template", "training.method"} <= set(named)
    for name in named:
        section, key = name.split(".")
        assert key in known[section], name


def test_tokenizer_model_is_among_the_copied_files(places: dict[str, str], tmp_path: Path) -> None:
    (Path(places["BASE"]) / "tokenizer.model").write_bytes(b"\x0a")
    copy = tmp_path / "copy"
    copy.mkdir()
    BaseFiles(BaseModelDataset(id=places["BASE"]).load()).save_pretrained(str(copy))
    assert (copy / "tokenizer.model").is_file()
