"""Configuration with experiments: base < environment < experiment < ``--params``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args, get_origin

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

    An experiment may name another by ``extends``, and states only what differs from it. With the runtime parameter
    ``rehearsal_of`` the file is that one's, and the name is still ``experiment``.

    With the runtime parameter ``rerun_of`` the others are the whole tree of that run (``runs/<id>/rerun.yml``): the
    experiment's file is not read, and ``conf/`` gives only settings that did not exist then.

    Raises:
        click.ClickException: if the environment or the experiment does not exist, or its file is not a mapping; if
            ``rerun_of`` is given without a whole tree.
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
        # resolved once, a recorded tree is not merged as others are: the braces left in it are text
        self._recorded: Any = (
            OmegaConf.to_container(OmegaConf.create(given), resolve=True) if _repeats_a_run(given) else {}
        )
        if not self._recorded:
            read = given.get("rehearsal_of") or name
            given = OmegaConf.to_container(  # type: ignore[assignment]
                OmegaConf.merge(_read_experiment(conf, str(read)), given)
            )
        self._parameters: dict[str, Any] | None = None
        super().__init__(
            conf_source=conf_source,
            env=env,
            runtime_params={} if self._recorded else given,
            custom_resolvers={"oc.env": oc.env},
            merge_strategy={"parameters": "soft", "globals": "soft"},
            **options,
        )

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key != "parameters":
            return self._load(key)
        if self._parameters is None:  # a run asks for them many times, and reading takes half a second
            self._parameters = self._load(key)
        return deepcopy(self._parameters)

    def _load(self, key: str) -> dict[str, Any]:
        """Files of a kind, merged and resolved."""
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
            values: dict[str, Any] = super().__getitem__(key)
        except InterpolationResolutionError as error:
            sentence = " ".join(str(error).split("\n", 1)[0].split())
            raise click.ClickException(f"The configuration of {key!r} cannot be resolved: {sentence}") from error
        if key == "parameters" and self._recorded:
            from med_lora.parameters import ProjectParams

            return _as_recorded(values, self._recorded, ProjectParams)
        return values


def _corpus_files(corpora: Any) -> dict[str, dict[str, Any]]:
    """What each corpus says about its files; its other settings may hold braces, which Kedro takes for placeholders."""
    from med_lora.parameters import CorpusFiles

    given: Any = OmegaConf.to_container(corpora)
    known = CorpusFiles.model_fields
    return {name: {key: value for key, value in corpus.items() if key in known} for name, corpus in given.items()}


def _repeats_a_run(given: Mapping[str, Any]) -> bool:
    """Whether the runtime parameters are the tree of an earlier run."""
    if not given.get("rerun_of"):
        return False
    if "hardware" not in given:  # every run has it, and nobody types it
        raise click.ClickException(
            "rerun_of is set by runs/<id>/rerun.yml alone: `kedro run --config runs/<id>/rerun.yml`, without --params."
        )
    return True


def _as_recorded(current: Mapping[str, Any], recorded: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """The recorded values of an earlier run, and the ``current`` ones of fields of ``model`` that it did not have."""
    values = {key: value for key, value in current.items() if key not in recorded}
    for key, value in recorded.items():
        field = model.model_fields.get(key)
        values[key] = value if field is None else _recorded_value(current.get(key), value, field.annotation)
    return values


def _recorded_value(current: Any, recorded: Any, annotation: Any) -> Any:
    """A mapping whose keys are the user's (corpora, studies, a grid) keeps the recorded keys alone."""
    # `dict[str, Model]` and `Model | None` hold the model among their arguments, `Model` has none
    models = [kind for kind in (annotation, *get_args(annotation)) if hasattr(kind, "model_fields")]
    if not models or not isinstance(recorded, Mapping) or not isinstance(current, Mapping):
        return recorded
    if get_origin(annotation) is dict:
        return {name: _recorded_value(current.get(name), value, models[0]) for name, value in recorded.items()}
    return _as_recorded(current, recorded, models[0])


def _check_environment(conf: Path, env: str | None) -> None:
    known = [folder.name for folder in conf.iterdir() if (folder / "globals.yml").is_file() and folder.name != "base"]
    if env is None or env in known:
        return
    raise click.ClickException(f"There is no environment {env!r} in {conf}{nearest(env, known)}")


def _read_experiment(conf: Path, name: str, extending: tuple[str, ...] = ()) -> Any:
    """The tree of an experiment's file over that of the one it extends."""
    tree = _read_file(conf / "experiments" / f"{name}.yml")
    extended = tree.pop("extends", None)
    if extended is None:
        return tree
    chain = (*extending, name)
    if extended in chain:
        loop = ", ".join(chain)
        raise click.ClickException(f"The experiments {loop} in {conf / 'experiments'} extend each other in a circle.")
    return OmegaConf.merge(_read_experiment(conf, str(extended), chain), tree)


def _read_file(file: Path) -> Any:
    if not file.is_file():
        known = [path.stem for path in file.parent.glob("*.yml")]
        raise click.ClickException(f"There is no experiment {file.stem!r} in {file.parent}{nearest(file.stem, known)}")
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
