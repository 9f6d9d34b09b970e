"""Runs in a database that MLflow reads."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Never

from kedro.io.core import AbstractDataset, DatasetError

from med_lora.datasets.errors import DatasetInputError

logger = logging.getLogger(__name__)

RUN_TAG = "med_lora.run_id"
LONGEST_VALUE = 500  # characters of a parameter that MLflow's own tables still show; longer ones are cut
_NAME_LIMIT = 250  # characters of a parameter's name that MLflow takes


class MlflowRunsDataset(AbstractDataset[Sequence[dict[str, Any]], Never]):
    """An SQLite file to which runs are added for MLflow; no server, no artifacts, no call to any network.

    A run that is there already, by the tag ``med_lora.run_id``, is left as it is, so that saving twice gives one run.
    """

    def __init__(self, *, filepath: str | None, metadata: dict[str, Any] | None = None) -> None:
        """Name the file.

        Args:
            filepath: of the database, which need not exist yet; None where nothing is exported.
            metadata: ignored here; read by kedro-viz and other plugins.
        """
        self._path = Path(filepath or "mlflow.db")
        self.metadata = metadata

    def save(self, data: Sequence[dict[str, Any]]) -> None:
        """Add the runs that are not there yet.

        Args:
            data: entries with run_id, name, experiment, started, seconds, params, metrics, tags.

        Raises:
            DatasetInputError: if MLflow is not installed.
        """
        client = _open_client(self._path)
        added, cut = 0, set()
        for entry in data:
            experiment = _find_experiment(client, entry["experiment"], self._path)
            if client.search_runs([experiment], filter_string=f"tags.`{RUN_TAG}` = '{entry['run_id']}'"):
                continue
            cut |= {key for key, value in entry["params"].items() if len(value) > LONGEST_VALUE}
            _add_run(client, experiment, entry)
            added += 1
        if cut:
            logger.info("MLflow got %s cut to %d characters.", ", ".join(sorted(cut)), LONGEST_VALUE)
        logger.info("%d of %d runs were new to %s.", added, len(data), self._path.name)

    def load(self) -> Never:
        """Refuse.

        Raises:
            DatasetError: always; MLflow reads the file.
        """
        raise DatasetError(f"{self._path} is read with MLflow: mlflow ui --backend-store-uri sqlite:///{self._path}")

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path}


def _open_client(path: Path) -> Any:
    """MLflow on the database, with its telemetry off before anything of it is imported."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    try:
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise DatasetInputError(
            "comparison.mlflow is set, but MLflow is not installed; run `pip install -e .[mlflow]`, or set it to null."
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in ("mlflow", "alembic"):  # a line for each table of a new database
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=f"sqlite:///{path.resolve().as_posix()}")


def _find_experiment(client: Any, name: str, path: Path) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    # named, or MLflow would make a folder in the working directory when something is first put there
    place = path.resolve().with_name(f"{path.stem}_artifacts").as_uri()
    return str(client.create_experiment(name, artifact_location=place))


def _add_run(client: Any, experiment: str, entry: dict[str, Any]) -> None:
    from mlflow.entities import Metric, Param

    started = int(datetime.fromisoformat(entry["started"]).timestamp() * 1000)
    ended = started + int(1000 * (entry["seconds"] or 0))
    tags = {**entry["tags"], RUN_TAG: entry["run_id"]}
    run = client.create_run(experiment, start_time=started, run_name=entry["name"], tags=tags)
    params = [
        Param(key.replace(" ", "_")[:_NAME_LIMIT], value[:LONGEST_VALUE]) for key, value in entry["params"].items()
    ]
    metrics = [Metric(key, value, ended, 0) for key, value in entry["metrics"].items() if math.isfinite(value)]
    for start in range(0, len(params), 100):  # MLflow's limit of one call
        client.log_batch(run.info.run_id, params=params[start : start + 100])
    client.log_batch(run.info.run_id, metrics=metrics)
    client.set_terminated(run.info.run_id, "FINISHED", end_time=ended)
