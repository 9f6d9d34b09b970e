"""Which checkpoint a run goes on from: a whole one, sealed, of equal settings, and no two runs at once."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from med_lora.datasets.manifest import MARKER, seal_folder
from med_lora.engine import resume_checks
from med_lora.engine.checkpoints import Checkpoints
from med_lora.errors import InputError
from tests.engine.checkpoint_sets import SETTINGS, STATE, sealed, warnings_of, write


def test_the_newest_sealed_one_counts_by_its_step_and_two_are_kept(tmp_path: Path) -> None:
    with Checkpoints(tmp_path / "new" / "folder", SETTINGS) as checkpoints:
        assert checkpoints.newest() is None
        last = sealed(checkpoints, 8, 9, 10)
        assert checkpoints.newest() == last
        assert sorted(path.name for path in checkpoints.folder.iterdir()) == ["checkpoint-10", "checkpoint-9"]


def test_an_unsealed_one_does_not_count_and_the_next_run_clears_it_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        kept = sealed(checkpoints, 3)
        unsealed = write(checkpoints, 6)
        (tmp_path / ".tmp-1234").write_text("left by a killed run")
        (output := tmp_path / f"output-{'0f' * 16}").mkdir()
        (output / "adapter_model.safetensors").touch()
        (tmp_path / "output-of-mine").mkdir()
    caplog.set_level(logging.INFO)
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        assert checkpoints.newest() == kept
    assert not unsealed.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", checkpoints.folder.name, "output-of-mine"]
    assert f"Deleted {unsealed}, which was not saved to the end." in caplog.messages


@pytest.mark.parametrize(
    ("lacking", "part"),
    [
        ("adapter_model.safetensors", "the weights"),
        ("monitor.json", "monitor.json"),
        ("optimizer.pt", "the optimizer's state"),
        ("rng_state.pth", "rng_state.pth"),
        ("scheduler.pt", "scheduler.pt"),
        ("trainer_state.json", "trainer_state.json"),
    ],
)
def test_a_set_that_would_resume_by_half_is_neither_sealed_nor_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lacking: str, part: str
) -> None:
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        whole = sealed(checkpoints, 3)
        partial = write(checkpoints, 6, tuple(name for name in STATE if name != lacking))
        with pytest.raises(InputError, match=f"checkpoint-6 was saved without {part}, so no run could go on"):
            checkpoints.seal(partial)
        assert not (partial / MARKER).exists()
        seal_folder(partial)
        assert checkpoints.newest() == whole
    assert f"Ignored and deleted {partial}: it was saved without {part}." in caplog.messages


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ({"hardware.precision": "fp16"}, "scaler.pt"),
        ({"training.optimisation.keep": "best"}, "best_weights.safetensors"),
    ],
)
def test_some_settings_ask_for_a_file_more(tmp_path: Path, setting: dict[str, Any], part: str) -> None:
    names = tuple(name for name in STATE if name != part)
    with Checkpoints(tmp_path / "without", SETTINGS) as checkpoints:
        checkpoints.seal(write(checkpoints, 3, names))
    with Checkpoints(tmp_path, setting) as checkpoints:
        with pytest.raises(InputError, match=f"without {part}"):
            checkpoints.seal(write(checkpoints, 3, names))
        checkpoints.seal(write(checkpoints, 3, (*names, part)))


def test_every_process_has_its_random_numbers_and_every_shard_its_best_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        with pytest.raises(InputError, match=r"without rng_state_0.pth"):
            checkpoints.seal(write(checkpoints, 3))
        with pytest.raises(InputError, match=r"without rng_state_1.pth.*shared disk"):
            checkpoints.seal(write(checkpoints, 4, (*STATE, "rng_state_0.pth")))
        checkpoints.seal(write(checkpoints, 5, (*STATE, "rng_state_0.pth", "rng_state_1.pth")))
    sharded = {"hardware.sharding": "fsdp", "training.optimisation.keep": "best"}
    with (
        Checkpoints(tmp_path / "sharded", sharded) as checkpoints,
        pytest.raises(InputError, match=r"without best_weights_0.safetensors"),
    ):
        checkpoints.seal(write(checkpoints, 5, (*STATE, "rng_state_0.pth", "rng_state_1.pth")))


@pytest.mark.parametrize("other_sees", [True, False])
def test_machines_without_a_shared_disk_are_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_sees: bool
) -> None:
    import torch.distributed as dist

    def gather(found: list[Any], own: Any) -> None:
        assert own  # the first rank sees what it wrote
        found[:] = [own, other_sees]

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("GROUP_WORLD_SIZE", "2")
    monkeypatch.setattr(dist, "broadcast_object_list", lambda given, src: None)
    monkeypatch.setattr(dist, "barrier", lambda: None)
    monkeypatch.setattr(dist, "all_gather_object", gather)
    refused = pytest.raises(InputError, match=r"do not share .* give them one shared disk for checkpoints, or set")
    with Checkpoints(tmp_path, SETTINGS) as checkpoints, nullcontext() if other_sees else refused:
        assert checkpoints.newest() is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", checkpoints.folder.name]


def test_changed_settings_start_anew_and_name_what_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        old = sealed(checkpoints, 3, 6)
    changed = {"lora.r": 16, "optimisation.batches": "grouped", "seed": None, "train_sha256": "ab" * 32}
    with Checkpoints(tmp_path, changed) as checkpoints:
        assert checkpoints.newest() is None
        assert warnings_of(caplog) == [
            f"Training starts anew, since {old} was made with other settings (lora.r: 8 -> 16, seed: not set -> null); "
            "it is deleted with the first new checkpoint."
        ]
        unsealed = write(checkpoints, 2)
        assert old.exists()
        checkpoints.seal(unsealed)
        assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [checkpoints.folder.name]


def test_settings_set_back_before_the_first_new_checkpoint_go_on(tmp_path: Path) -> None:
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        old = sealed(checkpoints, 3)
    with Checkpoints(tmp_path, SETTINGS | {"lora.r": 16}) as other:
        assert other.newest() is None
        write(other, 3)
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        assert checkpoints.newest() == old
        assert not list(other.folder.iterdir())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda patch: patch.setattr(resume_checks, "installed_version", lambda library: "0.1"), "version of trl: "),
        (lambda patch: patch.setenv("WORLD_SIZE", "2"), "ranks: 1 -> 2"),
    ],
    ids=["libraries", "processes"],
)
def test_other_libraries_or_another_number_of_processes_start_anew(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pytest.MonkeyPatch], None],
    named: str,
) -> None:
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        sealed(checkpoints, 3)
    change(monkeypatch)
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        assert checkpoints._choose() is None
    assert named in caplog.text


def test_a_checkpoint_moved_among_those_of_other_settings_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Checkpoints(tmp_path, SETTINGS | {"lora.r": 16}) as other, Checkpoints(tmp_path / "here", SETTINGS) as here:
        sealed(other, 3).rename(here.folder / "checkpoint-3")
        assert here.newest() is None
    assert "it was made with other settings (lora.r: 16 -> 8)" in caplog.text


def test_the_order_of_settings_does_not_matter(tmp_path: Path) -> None:
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        last = sealed(checkpoints, 3)
    with Checkpoints(tmp_path, dict(reversed(SETTINGS.items()))) as checkpoints:
        assert checkpoints.newest() == last


def test_a_second_run_is_refused_until_the_first_one_is_dead(tmp_path: Path) -> None:
    entered, told = os.pipe()
    child = os.fork()
    if child == 0:
        with Checkpoints(tmp_path, SETTINGS):
            os.write(told, b"!")
            signal.pause()
    try:
        assert os.read(entered, 1) == b"!"
        second = Checkpoints(tmp_path, SETTINGS)
        with pytest.raises(InputError, match="Another run of this experiment is writing checkpoints to"):
            second.__enter__()
        with pytest.raises(InputError, match="Another run"):
            second.discard()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with second:
        assert second.newest() is None


def test_discard_deletes_all_and_a_fresh_run_may_follow(tmp_path: Path) -> None:
    with Checkpoints(tmp_path, SETTINGS | {"lora.r": 16}) as other:
        sealed(other, 3)
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        write(checkpoints, 3)
        checkpoints.discard()
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    Checkpoints(tmp_path, SETTINGS).discard()
    Checkpoints(tmp_path / "never", SETTINGS).discard()
    assert not (tmp_path / "never").exists()
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        assert checkpoints.newest() is None
