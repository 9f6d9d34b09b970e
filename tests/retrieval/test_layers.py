"""Retrieval lies below the pipelines: whatever reads an index loads none of them."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

from med_lora import retrieval

LOADED = "print(sorted(name for name in sys.modules if name.startswith('med_lora.pipelines')))"


def test_neither_retrieval_nor_its_dataset_loads_a_pipeline() -> None:
    modules = [found.name for found in pkgutil.iter_modules(retrieval.__path__, "med_lora.retrieval.")]
    assert "med_lora.retrieval.index" in modules
    imports = ", ".join(["sys", "med_lora.datasets.passage_index", *modules])
    command = [sys.executable, "-c", f"import {imports}; {LOADED}"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == "[]"
