from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from med_lora.runs import code
from med_lora.runs.code import describe_code


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project below the root of its repository."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(tmp_path, "init", "-q")
    (folder / "nodes.py").write_text("one")
    (folder / ".gitignore").write_text("data/\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return folder


def test_committed_code_is_its_commit(project: Path) -> None:
    found = describe_code(project)
    assert (found["commit"], found["dirty"]) == (git(project, "rev-parse", "HEAD"), False)
    assert (found["changes_sha256"], found["note"]) == (None, "")


def test_what_is_ignored_or_beside_the_project_or_a_run_is_no_change(project: Path) -> None:
    for file in (project / "data" / "x", project / "runs" / "1" / "manifest.json", project.parent / "other"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("new")
    assert describe_code(project)["dirty"] is False


def test_every_change_has_a_hash_of_its_own_that_comes_back(project: Path) -> None:
    def changed(name: str, content: str) -> str | None:
        (project / name).write_text(content)
        found = describe_code(project)
        assert found["dirty"] is True
        return found["changes_sha256"]

    hashes = [changed("nodes.py", "two"), changed("nodes.py", "three"), changed("new.py", ""), changed("new.py", "x")]
    (project / "new.py").rename(project / "newer.py")
    hashes.append(describe_code(project)["changes_sha256"])
    git(project, "add", "nodes.py")
    assert describe_code(project)["changes_sha256"] == hashes[-1]
    assert None not in hashes
    assert len(set(hashes)) == 5
    (project / "newer.py").unlink()
    assert changed("nodes.py", "two") == hashes[0]


def test_looking_leaves_the_repository_as_it_is(project: Path) -> None:
    (project / "nodes.py").touch()
    index = (project.parent / ".git" / "index").read_bytes()
    describe_code(project)
    assert (project.parent / ".git" / "index").read_bytes() == index


def test_much_that_is_not_committed_is_hashed_in_part_and_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "MAX_HASHED_BYTES", 2**20)
    (project / "large").write_bytes(b"x" * 2**20 + b"left out")
    found = describe_code(project)
    assert found["note"] == "Of the changes the first 1 MiB are hashed."
    (project / "large").write_bytes(b"x" * 2**20 + b"likewise")
    assert describe_code(project)["changes_sha256"] == found["changes_sha256"]


def test_project_without_a_repository_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = describe_code(tmp_path)
    assert (found["commit"], found["dirty"], found["changes_sha256"]) == (None, None, None)
    assert "is no git repository with a commit" in found["note"]


def test_repository_without_a_commit_says_so(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert "with a commit" in describe_code(tmp_path)["note"]


def test_machine_without_git_says_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = describe_code(project)
    assert (found["commit"], found["note"]) == (None, "The code's state is unknown: git is not installed.")
    assert found["version"]
