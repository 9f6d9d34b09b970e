"""The database that holds the trials of a search, alone or shared by many workers."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any

from med_lora.errors import InputError

DATABASE = "search.db"
HEARTBEAT = 30  # seconds between two signs of life of a running trial
SILENCE = 4 * HEARTBEAT  # seconds after which it counts as abandoned
LOCKED = 60  # seconds that a worker waits for another one's write to a sqlite file
_PARTS = ("username", "password", "host", "database")
_VARIABLE = re.compile(r"\$(\w+)")


def open_storage(storage: str | None, folder: Path) -> Any:
    """An ``optuna.storages.RDBStorage`` whose tables exist.

    Args:
        storage: ``search.storage``.
        folder: of the search; it holds the sqlite file where ``storage`` is None.

    Raises:
        InputError: for a URL that is none or holds a password, a missing driver, or a database that does not answer.
    """
    import optuna
    from filelock import FileLock
    from sqlalchemy import exc

    url = resolve_url(storage, folder)
    _quieten()
    sqlite = {"connect_args": {"timeout": LOCKED}} if url.get_backend_name() == "sqlite" else {}
    place = f"{url.drivername}{f' on {url.host}' if url.host else ''}"
    try:
        # two workers that start together would both make the tables
        with FileLock(folder / "database.lock"), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of the heartbeat
            return optuna.storages.RDBStorage(
                url.render_as_string(hide_password=False),
                engine_kwargs=sqlite,
                heartbeat_interval=HEARTBEAT,
                grace_period=SILENCE,
            )
    # what the errors quote may hold credentials, so none is handed on
    except (ImportError, exc.NoSuchModuleError):
        fault = "which is not installed; install its Python package or name another one"
        raise InputError(f"search.storage names the database driver {url.drivername}, {fault}.") from None
    except (exc.SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
        kind = type(getattr(error, "orig", None) or error.__cause__ or error).__name__
        raise InputError(
            f"The database of search.storage ({place}) cannot be opened ({kind}); check that it runs, and the URL's "
            "host, name, user and password."
        ) from None


def resolve_url(storage: str | None, folder: Path) -> Any:
    """The ``sqlalchemy.URL`` of the database, with environment variables filled in.

    Parameters end up in lineage graphs and logs, so a password in them is refused.
    """
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    if storage is None:
        return URL.create("sqlite", database=str(folder / DATABASE))
    whole = _VARIABLE.fullmatch(storage)
    text = _fill_in(storage) if whole else storage
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise InputError(
            "search.storage is no database URL; write it like postgresql+psycopg://user:$PASSWORD@host/name."
        ) from None
    if whole:
        return url
    secret = {"the password": url.password} | {name: url.query[name] for name in url.query if "pass" in name.lower()}
    for name, value in secret.items():
        if value and not _VARIABLE.fullmatch(str(value)):
            raise InputError(
                f"search.storage holds a secret ({name}); write $NAME in its place and set the environment variable "
                "NAME."
            )
    parts: dict[str, Any] = {name: _fill_in(value) for name in _PARTS if (value := getattr(url, name))}
    query = {name: _fill_in(value) if isinstance(value, str) else value for name, value in url.query.items()}
    return url.set(**parts, query=query)


def _fill_in(text: str) -> str:
    for name in _VARIABLE.findall(text):
        if name not in os.environ:
            raise InputError(f"search.storage asks for the environment variable {name}, which is not set; set it.")
    return _VARIABLE.sub(lambda found: os.environ[found[1]], text)


def _quieten() -> None:
    """Leave what optuna logs to warnings, in the format of this project's logs."""
    import optuna

    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
