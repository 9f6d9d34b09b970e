"""The code of a run: version of the package and state of the project's folder in git."""

from __future__ import annotations

import hashlib
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

from med_lora.runs.manifest import RUNS, CodeEntry

# A project with more uncommitted than this has data in it, and hashing them would hold up the run.
MAX_HASHED_BYTES = 64 * 2**20
# Runs themselves are no change of the code, whether they are ignored or committed.
_PROJECT = ("--", ".", f":(exclude){RUNS}")


class GitError(Exception):
    """git cannot say; the message says why in a clause."""


def describe_code(project: Path) -> CodeEntry:
    """Commit, whether anything differs from it, and a hash over what does; no content is kept."""
    try:
        package = version("med_lora")
    except PackageNotFoundError:  # run from its folder, never installed
        package = "unknown"
    try:
        commit = _git(project, "rev-parse", "HEAD").decode().strip()
        dirty = bool(_git(project, "status", "--porcelain", *_PROJECT).strip())
        changes, note = _hash_changes(project) if dirty else (None, "")
    except GitError as error:
        note = f"The code's state is unknown: {error}."
        return CodeEntry(version=package, commit=None, dirty=None, changes_sha256=None, note=note)
    return CodeEntry(version=package, commit=commit, dirty=dirty, changes_sha256=changes, note=note)


def _git(project: Path, *arguments: str) -> bytes:
    """Output of a git command that changes nothing, and runs nothing that the repository names."""
    try:
        done = subprocess.run(_command(*arguments), cwd=project, capture_output=True, check=True, timeout=60)
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise GitError("git took more than a minute") from error
    except subprocess.CalledProcessError as error:
        raise GitError("the project's folder is no git repository with a commit, or not one git trusts") from error
    return done.stdout


def _command(*arguments: str) -> list[str]:
    return ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments]


def _hash_changes(project: Path) -> tuple[str, str]:
    """SHA-256 over the difference to the commit, then names and contents of new files; a note where it is cut short."""
    digest, left = hashlib.sha256(), MAX_HASHED_BYTES
    command = _command("diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv", "--no-color", *_PROJECT)
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        left -= _add(digest, process.stdout, left)
        process.kill()
    new = _git(project, "ls-files", "--others", "--exclude-standard", "-z", *_PROJECT).split(b"\0")
    for name in sorted(filter(None, new)):
        digest.update(b"\0" + name + b"\0")
        file = project / name.decode("utf-8", "surrogateescape")
        if left > 0 and file.is_file() and not file.is_symlink():
            with file.open("rb") as stream:
                left -= _add(digest, stream, left)
    note = "" if left > 0 else f"Of the changes the first {MAX_HASHED_BYTES // 2**20} MiB are hashed."
    return digest.hexdigest(), note


def _add(digest: hashlib._Hash, stream: IO[bytes], limit: int) -> int:
    """Hash at most ``limit`` bytes of a stream; returns how many."""
    done = 0
    while done < limit and (block := stream.read(min(2**20, limit - done))):
        digest.update(block)
        done += len(block)
    return done
