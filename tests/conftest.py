"""What the tests share: the project's root, its environments and experiments, a tiny model, the real corpora."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.kedro_server import KedroServer
    from tests.projects import DefaultRun

os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = sorted(path.parent.name for path in (ROOT / "conf").glob("*/globals.yml") if path.parent.name != "base")
EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "experiments").glob("*.yml"))
# Files of whole runs and of started processes, the longest first: begun last, they would leave the other workers idle.
LONGEST = (
    "tests/test_second_track.py",
    "tests/test_rerun.py",  # makes the default run, for which others then need not wait
    "rehearsal/test_rehearse_*.py",
    "tests/test_fault_corpus.py",
    "tests/test_notebooks.py",
    "tests/test_docs_commands.py",
    "tests/test_finished_run.py",
    "tests/test_generated_pairs.py",
    "tests/test_own_corpus.py",
    "tests/test_lineage_site.py",
    "tests/test_session.py",
    "training/test_ranks.py",
    "engine/test_resume.py",
    "search/test_workers.py",
    "engine/test_launch.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((n for n, name in enumerate(LONGEST) if item.path.match(name)), len(LONGEST)))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def real_corpora() -> Path:
    """The publishers' own files, where a checkout has them beside it."""
    folder = ROOT.parent / "shared" / "corpora"
    if not folder.is_dir():
        pytest.skip("the real corpora are not on this machine")
    return folder


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """A byte-level BPE tokenizer of a few hundred entries, with EOS and padding."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<eos>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(["Question: what is gout? Answer: a painful arthritis of the toe."] * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<eos>", pad_token="<pad>")


@pytest.fixture
def tiny_model(tokenizer: Any) -> Any:
    """A Llama of about 30,000 weights, the same in every test."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            intermediate_size=64,
            max_position_embeddings=128,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project without artifacts."""
    from tests.projects import copy_project

    return copy_project(tmp_path)


@pytest.fixture(scope="session")
def default_run(tmp_path_factory: pytest.TempPathFactory) -> DefaultRun:
    """One finished run of the default pipeline for all workers: to read, or to work in a copy (``copy_run``)."""
    from tests.projects import make_default_run

    folder = tmp_path_factory.getbasetemp()
    return make_default_run((folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "default-run")


@pytest.fixture(scope="session")
def forked_kedro() -> Iterator[KedroServer]:
    """``tests.projects.kedro`` for many short commands: their imports are made once."""
    from tests.kedro_server import KedroServer

    server = KedroServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Debian's chromium without a window; its logs of the console and of the network are kept."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    switches = (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
    )
    for switch in (*switches, "disable-component-update", "disable-sync", "window-size=1100,1000"):
        options.add_argument(f"--{switch}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()
