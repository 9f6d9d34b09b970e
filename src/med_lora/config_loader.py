"""Configuration with experiments: base < environment < experiment < ``--params``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError
from omegaconf.resolvers import oc
from yaml import YAMLError

from med_lora.errors import nearest

DEFAULT_EXPERIMENT = "embedded"
EXPERIMENT_VARIABLE = "MED_LORA_EXPERIMENT"


class ExperimentConfigLoader(OmegaConfigLoader):
    """An ``OmegaConfigLoader`` that lays ``conf/experiments/NAME.yml`` under the runtime parameters.

    NAME is the runtime parameter ``experiment``, else the environment variable ``MED_LORA_EXPERIMENT`` (the only
    way to choose one for ``kedro viz build``), else ``embedded``. Catalog files read resolved parameters through
    ``${parameters:key.subkey}``, so that a dataset's path and a node's argument come from one place, and where the
    corpora lie through ``${corpus_files:}``.

    Raises:
        click.ClickException: if the environment or the experiment does not exist, or its file is not a mapping.
    """

    def __init__(
        self,
        conf_source: str | Path,
        env: str | None = None,
        runtime_params: dict[str, Any] | None = None,
        **options: Any,
    ):
        conf = Path(conf_source)
        _check_environment(conf, env)
        given = dict(runtime_params or {})
        name = given.setdefault("experiment", os.environ.get(EXPERIMENT_VARIABLE, DEFAULT_EXPERIMENT))
        merged = OmegaConf.merge(_read_experiment(conf, str(name)), given)
        super().__init__(
            conf_source=conf_source,
            env=env,
            runtime_params=OmegaConf.to_container(merged),  # type: ignore[arg-type]
            custom_resolvers={"oc.env": oc.env},
            merge_strategy={"parameters": "soft", "globals": "soft"},
            **options,
        )

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key == "catalog":
            parameters = OmegaConf.create(self["parameters"])

            def look_up(path: str) -> Any:
                value: Any = parameters
                for key in path.split("."):
                    if value is None:  # a section that is switched off
                        return None
                    if key not in value:
                        raise KeyError(f"parameter {path!r}, which does not exist")
                    value = value[key]
                return value

            OmegaConf.register_new_resolver("parameters", look_up, replace=True)
            OmegaConf.register_new_resolver("corpus_files", lambda: _corpus_files(parameters.corpora), replace=True)
        try:
            return super().__getitem__(key)
        except InterpolationResolutionError as error:
            sentence = " ".join(str(error).split("\n", 1)[0].split())
            raise click.ClickException(f"The configuration of {key!r} cannot be resolved: {sentence}") from error


def _corpus_files(corpora: Any) -> dict[str, dict[str, Any]]:
    """What each corpus says about its files; its other settings may hold braces, which Kedro takes for placeholders."""
    from med_lora.parameters import CorpusFiles

    given: Any = OmegaConf.to_container(corpora)
    known = CorpusFiles.model_fields
    return {name: {key: value for key, value in corpus.items() if key in known} for name, corpus in given.items()}


def _check_environment(conf: Path, env: str | None) -> None:
    known = [folder.name for folder in conf.iterdir() if (folder / "globals.yml").is_file() and folder.name != "base"]
    if env is None or env in known:
        return
    raise click.ClickException(f"There is no environment {env!r} in {conf}{nearest(env, known)}")


def _read_experiment(conf: Path, name: str) -> Any:
    file = conf / "experiments" / f"{name}.yml"
    if not file.is_file():
        known = [path.stem for path in file.parent.glob("*.yml")]
        raise click.ClickException(f"There is no experiment {name!r} in {file.parent}{nearest(name, known)}")
    try:
        experiment = OmegaConf.load(file)
    except YAMLError as error:
        raise click.ClickException(f"{file} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not OmegaConf.is_dict(experiment) or "experiment" in experiment or "hardware" in experiment:
        raise click.ClickException(
            f"{file} must map parameter names to values and must set neither 'experiment' (its file name says it) "
            "nor 'hardware' (an environment sets it, see --env)."
        )
    return experiment
