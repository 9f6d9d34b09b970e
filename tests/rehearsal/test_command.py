"""What the command refuses, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from med_lora.__main__ import main
from med_lora.errors import InputError
from med_lora.rehearsal.run import check_name
from tests.conftest import ROOT


def test_a_study_of_several_experiments_names_them() -> None:
    with pytest.raises(InputError, match=r"medlms_distilgpt2, medlms_gemma_7b, .*medlms_mistral_7b"):
        check_name(ROOT / "conf", "medlms")


def test_a_study_of_one_experiment_is_the_loaders_to_refuse() -> None:
    check_name(ROOT / "conf", "kim2024")


def test_experiments_and_names_that_the_loader_refuses_pass() -> None:
    check_name(ROOT / "conf", "medidialogue")
    check_name(ROOT / "conf", "medidialog")


def test_other_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["rehearse", "medidialogue"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: There is no med_lora project")
    assert list(tmp_path.iterdir()) == []
