"""Configuration with experiments: base < environment < experiment < ``--params``."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from med_lora.config_trees import (
    NotPlainError,
    Resolvers,
    check_layer,
    list_files,
    look_up,
    merge_trees,
    read_mapping,
    resolve_tree,
)
from med_lora.errors import nearest

DEFAULT_EXPERIMENT = "embedded"
EXPERIMENT_VARIABLE = "MED_LORA_EXPERIMENT"
REHEARSAL_ENDING = "_rehearsal"  # of the name of an experiment's rehearsal
PLAIN_KINDS = ("parameters", "catalog")  # of files; the others are small
# Parameters that no experiment's file may set, and what does.
_SET_ELSEWHERE = {
    "experiment": "its file name says it",
    "hardware": "an environment sets it, see --env",
    "rehearsal_of": "`make rehearse` sets it",
    "rerun_of": "the rerun.yml of a run sets it",
}


class ExperimentConfigLoader(OmegaConfigLoader):
    """An ``OmegaConfigLoader`` that lays ``conf/experiments/NAME.yml`` under the runtime parameters.

    NAME is the runtime parameter ``experiment``, else the environment variable ``MED_LORA_EXPERIMENT`` (the only
    way to choose one for ``kedro viz build``), else ``embedded``. Catalog files read resolved parameters through
    ``${parameters:key.subkey}``, so that a dataset's path and a node's argument come from one place, and where the
    corpora lie through ``${corpus_files:}``.

    An experiment may name another by ``extends``, and states only what differs from it. With the runtime parameter
    ``rehearsal_of: NAME`` the file is NAME's, and ``experiment`` is its name with ``_rehearsal`` behind it.

    With the runtime parameter ``rerun_of`` the others are the whole tree of that run (``runs/<id>/rerun.yml``): the
    experiment's file is not read, and ``conf/`` gives only settings that did not exist then.

    Files of parameters and of the catalog are found by their names whatever Kedro's option ``config_patterns`` says,
    and hidden ones are never read.

    Raises:
        click.ClickException: if the environment or the experiment does not exist, or its file is not a mapping; if
            ``rerun_of`` is given without a whole tree, or ``rehearsal_of`` to an experiment of another name.
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
        with _in_a_sentence("the runtime parameters"):
            self._recorded: Any = _resolved([given], {}) if _repeats_a_run(given) else {}
            if not self._recorded:
                given = _merged([read_experiment(conf, _file_of(name, given.get("rehearsal_of"))), given])
        self._parameters: dict[str, Any] | None = None
        self._resolvers: Resolvers = {}
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
        if self._parameters is None:  # a run asks for them many times
            self._parameters = self._load(key)
        return deepcopy(self._parameters)

    def _load(self, key: str) -> dict[str, Any]:
        """Files of a kind, merged and resolved."""
        if key == "catalog":
            parameters = self["parameters"]
            self._resolvers = {
                "parameters": functools.partial(look_up, parameters, off_is_none=True),
                "corpus_files": lambda *_: _corpus_files(parameters["corpora"] or {}),
            }
            for name, resolver in self._resolvers.items():
                OmegaConf.register_new_resolver(name, resolver, replace=True)
        with _in_a_sentence(f"the configuration of {key!r}"):
            values: dict[str, Any] = super().__getitem__(key)
        if key == "parameters" and self._recorded:
            from med_lora.parameters import ProjectParams

            return _as_recorded(values, self._recorded, ProjectParams)
        return values

    # Kedro 1.7 makes a node object of every value in each of these steps; plain trees need a tenth of the time.

    def _read_dir_configs(
        self, conf_path: str, patterns: Iterable[str], key: str, processed_files: set[Path], *rest: Any
    ) -> dict[Path, Any]:
        if key not in PLAIN_KINDS:
            return dict(super()._read_dir_configs(conf_path, patterns, key, processed_files, *rest))
        found = {file: read_mapping(file) for file in list_files(Path(conf_path), key)}
        self._check_duplicates(key, found)
        processed_files.update(found)
        return found

    def _check_duplicates(self, key: str, config_per_file: dict[Path, Any]) -> None:
        if key not in PLAIN_KINDS:
            super()._check_duplicates(key, config_per_file)
            return
        owners: dict[str, Path] = {}
        for file, tree in config_per_file.items():
            for name in sorted(self._get_all_keys(tree) if key == "parameters" else tree):
                if name in owners and not name.startswith("_"):
                    raise click.ClickException(f"{owners[name]} and {file} both set {name}; leave it in one of them.")
                owners[name] = file

    def _merge_and_resolve(self, key: str, config_per_file: dict[Path, Any]) -> dict[str, Any]:
        trees = list(config_per_file.values())
        if key not in PLAIN_KINDS or not trees:
            return dict(super()._merge_and_resolve(key, config_per_file))
        if key == "parameters":
            trees.append(self.runtime_params)
        tree = _resolved(trees, {**self._resolvers, "globals": functools.partial(look_up, self._globals)})
        return {name: value for name, value in tree.items() if key == "parameters" or not name.startswith("_")}

    @staticmethod
    def _soft_merge(config: dict[str, Any], env_config: dict[str, Any], env_path: str | None = None) -> dict[str, Any]:
        return _merged([config, env_config])


def _merged(trees: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The trees laid over each other, their references as they are."""
    try:
        return functools.reduce(merge_trees, trees, {})
    except NotPlainError:
        merged: Any = OmegaConf.to_container(OmegaConf.merge(*trees))
        return dict(merged)


def _resolved(trees: Sequence[Mapping[str, Any]], resolvers: Resolvers) -> dict[str, Any]:
    """The trees laid over each other, their references replaced by what they stand for."""
    try:
        merged: dict[str, Any] = resolve_tree(trees[0], resolvers)
        for tree in trees[1:]:
            check_layer(merged, tree)
            # first resolved, since a mapping can lie over what a reference stands for
            merged = merge_trees(merged, resolve_tree(tree, resolvers))
        return merged
    except NotPlainError:
        whole: Any = OmegaConf.to_container(OmegaConf.merge(*trees), resolve=True)
        return dict(whole)


@contextlib.contextmanager
def _in_a_sentence(what: str) -> Iterator[None]:
    """What OmegaConf refuses, as a sentence about ``what``."""
    try:
        yield
    except OmegaConfBaseException as error:
        sentence = " ".join(str(error).split("\n", 1)[0].split())
        raise click.ClickException(f"{what[0].upper()}{what[1:]} cannot be resolved: {sentence}") from error


def _file_of(name: Any, rehearsed: Any) -> str:
    """Name of the experiment whose file is read: a rehearsal's is that of the ``rehearsed`` one."""
    if not rehearsed:
        return str(name)
    if name != f"{rehearsed}{REHEARSAL_ENDING}":  # or the outputs of one would be taken for the other's
        raise click.ClickException(
            f"rehearsal_of is set by `make rehearse STUDY={rehearsed}` alone; take it out of --params."
        )
    return str(rehearsed)


def _corpus_files(corpora: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each corpus says about its files; its other settings may hold braces, which Kedro takes for placeholders."""
    from med_lora.parameters import CorpusFiles

    known = CorpusFiles.model_fields
    return {name: {key: value for key, value in corpus.items() if key in known} for name, corpus in corpora.items()}


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


def read_experiment(conf: Path, name: str, extending: tuple[str, ...] = ()) -> dict[str, Any]:
    """The tree of an experiment's file over that of the one it extends, which knows those ``extending`` it.

    Raises:
        click.ClickException: if one of the files does not exist or is no mapping of parameters, or the experiments
            extend each other in a circle.
    """
    file = conf / "experiments" / f"{name}.yml"
    if not file.is_file():
        known = [path.stem for path in file.parent.glob("*.yml")]
        named = f", which {extending[-1]}.yml extends" if extending else ""
        raise click.ClickException(f"There is no experiment {name!r} in {file.parent}{named}{nearest(name, known)}")
    tree = dict(_read_file(file))
    extended = tree.pop("extends", None)
    if extended is None:
        return tree
    chain = (*extending, name)
    if extended in chain:
        raise click.ClickException(
            f"The experiments {', '.join(chain)} in {file.parent} extend each other in a circle; take `extends` out "
            "of one."
        )
    return _merged([read_experiment(conf, str(extended), chain), tree])


def _read_file(file: Path) -> dict[str, Any]:
    experiment = read_mapping(file)
    for key, owner in _SET_ELSEWHERE.items():
        if key in experiment:
            raise click.ClickException(f"{file} must not set {key!r} ({owner}); take it out.")
    return experiment
