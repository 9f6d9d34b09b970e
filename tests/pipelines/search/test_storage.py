"""Any database can be named, and no password gets out."""

from __future__ import annotations

from pathlib import Path

import pytest

from med_lora.errors import InputError
from med_lora.pipelines.search.storage import DATABASE, open_storage, resolve_url

SECRET = "s3cr3t"


def test_a_file_of_the_search_is_the_default(tmp_path: Path) -> None:
    assert resolve_url(None, tmp_path).database == str(tmp_path / DATABASE)
    open_storage(None, tmp_path)
    assert (tmp_path / DATABASE).is_file()


def test_environment_variables_fill_in_what_is_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_PASSWORD", "p@ss/word:1")
    monkeypatch.setenv("SEARCH_URL", f"mysql+pymysql://me:{SECRET}@host/name")
    url = resolve_url("postgresql+psycopg://me:$SEARCH_PASSWORD@host:5432/name", tmp_path)
    assert (url.password, url.host, url.port, url.database) == ("p@ss/word:1", "host", 5432, "name")
    assert resolve_url("$SEARCH_URL", tmp_path).password == SECRET
    monkeypatch.setenv("SEARCH_FILE", str(tmp_path / "other.db"))
    open_storage("sqlite:///$SEARCH_FILE", tmp_path)
    assert (tmp_path / "other.db").is_file()


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        (f"postgresql://me:{SECRET}@host/name", r"holds a secret \(the password\); write \$NAME"),
        (f"postgresql://me@host/name?sslpassword={SECRET}", r"holds a secret \(sslpassword\)"),
        (SECRET, "is no database URL"),
        ("$SEARCH_MISSING", "environment variable SEARCH_MISSING, which is not set"),
        ("postgresql://me:$SEARCH_MISSING@host/name", "environment variable SEARCH_MISSING, which is not set"),
        ("postgresql+psycopg://me:$SEARCH_PASSWORD@host/name", r"driver postgresql\+psycopg, which is not installed"),
        ("nosuch://me:$SEARCH_PASSWORD@host/name", "driver nosuch, which is not installed"),
        (
            "sqlite:////nowhere/at/all.db",
            r"database of search\.storage \(sqlite\) cannot be opened \(OperationalError\)",
        ),
    ],
)
def test_a_database_that_cannot_be_opened_is_one_sentence_without_secrets(
    storage: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCH_PASSWORD", SECRET)
    monkeypatch.delenv("SEARCH_MISSING", raising=False)
    with pytest.raises(InputError, match=words) as caught:
        open_storage(storage, tmp_path)
    assert SECRET not in str(caught.value)
    # what drivers say quotes what they were given
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
