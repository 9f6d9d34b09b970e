"""Checkpoints of a training run: sealed, verified before use, and only for the settings they were made with."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from med_lora.datasets.manifest import MARKER, flush_to_disk, list_files, seal_folder
from med_lora.engine.disk import PROBE_PREFIX, told_if_full
from med_lora.engine.machines import several_machines
from med_lora.engine.resume_checks import (
    describe_changes,
    describe_maker,
    find_fault,
    find_missing_state,
    fingerprint,
)
from med_lora.errors import InputError

logger = logging.getLogger(__name__)

SETTINGS_FILE = "settings.json"
LOCK_FILE = ".lock"
KEPT = 2  # the newest, and one before it in case a disk damages the newest


class Checkpoints:
    """The checkpoints of one experiment, each a ``checkpoint-<step>`` folder that the Trainer wrote.

    A checkpoint counts once ``seal`` has written its manifest, which comes last; before that, a killed run leaves only
    what the next one clears away. They lie in ``folder/<fingerprint>/``, where the fingerprint is that of the settings,
    of the libraries' versions and of the number of processes, so that runs which differ in one of them never write
    into each other's folders.

    Every process of a distributed run makes its own object; the first one (``RANK`` 0) holds the lock, chooses the
    checkpoint and deletes. Several machines need a folder that they share.

    Attributes:
        folder: where the Trainer is to write; made on entering.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Point to the checkpoints of an experiment.

        Args:
            folder: of one experiment; what else lies in it is left alone.
            settings: flat JSON values of everything that decides the result. By the last part of their dotted keys,
                ``precision``, ``keep`` and ``sharding`` say which files a checkpoint has to hold.
        """
        self._root = folder
        self._ranks = int(os.environ.get("WORLD_SIZE", "1"))
        self._is_first = int(os.environ.get("RANK", "0")) == 0
        self._maker = describe_maker(settings, self._ranks)
        self.folder = folder / fingerprint(self._maker)
        self._lock = FileLock(folder / LOCK_FILE, timeout=0)

    def __enter__(self) -> Checkpoints:
        """Lock the experiment and clear away what a killed run left half saved.

        Raises:
            InputError: if another run of the same experiment is at work, or the disk is full.
        """
        if self._is_first:
            self._acquire()
            try:
                with self.saving():
                    self.folder.mkdir(exist_ok=True)
                self._remove_leftovers()
            except BaseException:
                self._lock.release()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_first:
            self._lock.release()

    def newest(self) -> Path | None:
        """The newest checkpoint that is whole, unchanged and made with equal settings; None to start anew.

        All processes of a distributed run call it together and get the answer of the first. Why a newer one is not
        taken, or which settings have changed, is logged.

        Raises:
            InputError: if a checkpoint cannot be read, or several machines do not share the folder.
        """
        chosen = [self._choose() if self._is_first else None]
        if self._ranks > 1:
            from torch.distributed import broadcast_object_list

            broadcast_object_list(chosen, src=0)
        if several_machines():
            self._check_shared()
        return chosen[0]

    def _check_shared(self) -> None:
        """Raise an InputError on every rank if one of them does not see what the first writes."""
        import torch.distributed as dist

        name = [f"{PROBE_PREFIX}{uuid.uuid4().hex}"]
        dist.broadcast_object_list(name, src=0)  # a name that no rank's file system has looked up before
        probe = self._root / name[0]
        if self._is_first:
            probe.touch()
        dist.barrier()
        seen: list[Any] = [None] * self._ranks
        dist.all_gather_object(seen, probe.exists())
        if self._is_first:
            probe.unlink()
        if not all(seen):
            raise InputError(
                f"The machines do not share {self._root}, so no run could go on from a checkpoint there: give them one "
                "shared disk for checkpoints, or set optimisation.checkpoints to 0."
            )

    def seal(self, checkpoint: Path) -> None:
        """Declare ``checkpoint`` whole, then delete all but the two newest and those made with other settings.

        The first process calls it when all have written their part. Once it returns, the checkpoint survives a loss
        of power.

        Raises:
            InputError: if a part of the training state is missing, or the disk is full; older ones are still there.
        """
        with self.saving():
            (checkpoint / SETTINGS_FILE).write_text(json.dumps(self._maker, indent=1, sort_keys=True), "utf-8")
            missing = find_missing_state(list_files(checkpoint), self._maker)
            if missing:
                raise InputError(
                    f"{checkpoint} was saved without {missing}, so no run could go on from it: if several machines "
                    "train, give them one shared disk for checkpoints, else set optimisation.checkpoints to 0."
                )
            seal_folder(checkpoint)
            for folder in (self.folder, self._root):
                flush_to_disk(folder)
        for older in _by_step(self.folder)[KEPT:]:
            _remove(older)
        for other in self._others():
            _remove_all(other)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Around whatever writes a checkpoint: a full disk becomes one sentence.

        Raises:
            InputError: if the disk is full; sealed checkpoints are as they were.
        """
        lost = (
            f"no checkpoint could be saved in {self._root}, older ones are untouched; free some space and run again to "
            "go on from the newest"
        )
        with told_if_full(self._root, lost):
            yield

    def discard(self) -> None:
        """Delete all checkpoints of the experiment, those of other settings too.

        Raises:
            InputError: if another run of the same experiment is at work.
        """
        if not self._root.exists():
            return
        self._acquire()
        try:
            for folder in [*self._others(), self.folder]:
                _remove_all(folder)
        finally:
            self._lock.release()

    def _acquire(self) -> None:
        try:
            with self.saving():
                self._root.mkdir(parents=True, exist_ok=True)
                self._lock.acquire()
        except Timeout as error:
            raise InputError(
                f"Another run of this experiment is writing checkpoints to {self._root}; wait for its end, or stop it."
            ) from error

    def _choose(self) -> Path | None:
        for checkpoint in _by_step(self.folder):
            with _readable(checkpoint):
                reason = self._refusal(checkpoint)
            if reason is None:
                logger.info("Going on from %s.", checkpoint)
                return checkpoint
            logger.warning("Ignored and deleted %s: %s.", checkpoint, reason)
            _remove(checkpoint)  # else the Trainer would write into it when it reaches that step again
        for other in self._others():
            for checkpoint in _by_step(other)[:1]:
                self._explain(checkpoint)
        return None

    def _refusal(self, checkpoint: Path) -> str | None:
        """Why no run may go on from ``checkpoint``; None if it may."""
        fault = find_fault(checkpoint)
        if fault:
            return fault
        maker = json.loads((checkpoint / SETTINGS_FILE).read_text("utf-8"))
        if maker != self._maker:
            return f"it was made with other settings ({describe_changes(maker, self._maker)})"
        missing = find_missing_state(list_files(checkpoint), self._maker)
        return f"it was saved without {missing}" if missing else None

    def _explain(self, checkpoint: Path) -> None:
        """Say why ``checkpoint``, of other settings, is of no use."""
        try:
            changes = describe_changes(json.loads((checkpoint / SETTINGS_FILE).read_text("utf-8")), self._maker)
        except (OSError, ValueError):
            changes = f"{SETTINGS_FILE} cannot be read"
        logger.warning(
            "Training starts anew, since %s was made with other settings (%s); it is deleted with the first new "
            "checkpoint.",
            checkpoint,
            changes,
        )

    def _remove_leftovers(self) -> None:
        for probe in self._root.glob(f"{PROBE_PREFIX}*"):
            probe.unlink()
        outputs = re.compile(r"output-[0-9a-f]{32}")  # trained weights that were not published: SavedFolder.below
        for output in sorted(path for path in self._root.iterdir() if outputs.fullmatch(path.name)):
            logger.info("Deleted %s, which an earlier run left.", output)
            shutil.rmtree(output)
        for folder in [*self._others(), self.folder]:
            for checkpoint in _by_step(folder):
                with _readable(checkpoint):
                    is_sealed = (checkpoint / MARKER).exists()
                if not is_sealed:
                    logger.info("Deleted %s, which was not saved to the end.", checkpoint)
                    _remove(checkpoint)

    def _others(self) -> list[Path]:
        """Folders of checkpoints that were made with other settings."""
        names = re.compile(r"[0-9a-f]{16}")
        found = [path for path in self._root.iterdir() if path.is_dir() and names.fullmatch(path.name)]
        return sorted(path for path in found if path != self.folder)


def _by_step(folder: Path) -> list[Path]:
    """The checkpoints in ``folder``, sealed or not, the newest first."""
    found = [(re.fullmatch(r"checkpoint-(\d+)", path.name), path) for path in folder.glob("checkpoint-*")]
    numbered = [(int(match[1]), path) for match, path in found if match]
    return [path for _, path in sorted(numbered, reverse=True)]


@contextmanager
def _readable(checkpoint: Path) -> Iterator[None]:
    """Around reading ``checkpoint``: what a disk does not give is no proof of damage, and nothing is deleted for it."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{checkpoint} cannot be read ({error.strerror}) and is left as it is: see to its disk and its "
            "permissions and run again, or delete it to go on from the one before."
        ) from error


def _remove(checkpoint: Path) -> None:
    """Delete a checkpoint, its manifest first: what a kill leaves of it is then no sealed one."""
    (checkpoint / MARKER).unlink(missing_ok=True)
    shutil.rmtree(checkpoint)


def _remove_all(folder: Path) -> None:
    for checkpoint in _by_step(folder):
        _remove(checkpoint)
    if folder.exists():
        shutil.rmtree(folder)
