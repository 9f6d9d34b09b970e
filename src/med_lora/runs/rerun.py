"""``runs/<id>/rerun.yml``, which repeats a run, and what is checked before it does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from med_lora.errors import InputError
from med_lora.runs.content import describe_content
from med_lora.runs.manifest import MANIFEST, RUNS, Manifest, read_manifest

# Options of `kedro run` that choose nodes; those of several values are a text with commas in a configuration file.
SELECTIONS = ("tags", "from_nodes", "to_nodes", "node_names", "from_inputs", "to_outputs", "namespaces")

COMPARED = "runs"  # the dataset of the runs that are compared


class _Dumper(yaml.SafeDumper):
    """YAML for OmegaConf, which takes more unquoted words for numbers than YAML 1.1 does."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write a value that occurs twice out twice."""
        return True


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def write_rerun(manifest: Manifest) -> str:
    """Text of ``rerun.yml``: environment, pipelines, nodes, the whole parameter tree, and the versions that were read.

    Pinned are those that the run loaded and did not write, and the runs that a comparison read. A run of missing
    outputs alone names the nodes that ran, since when it is repeated none is missing.
    """
    chosen = {key: ",".join(manifest["selection"][key]) for key in SELECTIONS if manifest["selection"].get(key)}
    if manifest["selection"].get("only_missing_outputs") and manifest["nodes"]:
        chosen["node_names"] = ",".join(node["name"] for node in manifest["nodes"])
    versions = sorted(f"{one['dataset']}:{one['version']}" for one in manifest["inputs"] if one["version"])
    run = {
        "env": manifest["env"],
        "pipelines": ",".join(manifest["pipelines"]),
        **chosen,
        "params": _escape({**_pin_compared_runs(manifest), "rerun_of": manifest["id"]}),
        "load_versions": ",".join(versions),
    }
    head = f"# Repeats the run {manifest['id']}: kedro run --config={RUNS}/{manifest['id']}/rerun.yml\n"
    return head + yaml.dump({"run": run}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _pin_compared_runs(manifest: Manifest) -> dict[str, Any]:
    """The parameters, with the ids of the runs that a comparison read: there are more by the time it is repeated."""
    parameters = manifest["parameters"]
    compared = [
        file.partition("/")[0] for one in manifest["inputs"] if one["dataset"] == COMPARED for file in one["files"]
    ]
    if not compared:
        return parameters
    return {**parameters, "comparison": {**parameters["comparison"], "runs": " ".join(sorted(compared))}}


def read_original(project: Path, run: str) -> Manifest:
    """The manifest of the run that is repeated.

    Raises:
        InputError: if it is gone.
    """
    original = read_manifest(project, run)
    if original is None:
        raise InputError(
            f"{RUNS}/{run}/{MANIFEST}, which says what the run {run} read, is missing or damaged; bring it back, or "
            "take rerun_of out of the parameters to make a run of its own."
        )
    return original


def check_inputs(original: Manifest, catalog: Any, project: Path) -> None:
    """Compare what the run that is repeated has read with what is there now.

    Artifacts of earlier runs are compared where the catalog still loads that version.

    Raises:
        InputError: naming the first dataset and file that was changed, is missing, is new or cannot be read.
    """
    for entry in original["inputs"]:
        name = entry["dataset"]
        if name not in catalog:
            continue  # not part of the pipelines that run now
        dataset = catalog[name]
        resolve = getattr(dataset, "resolve_load_version", lambda: None)
        if entry["version"] is not None and resolve() != entry["version"]:
            continue
        try:
            content = describe_content(dataset, project)
        except OSError as error:
            raise InputError(
                f"{name}: {entry['path']} cannot be read ({error.strerror or type(error).__name__}); make it readable, "
                "or take rerun_of out of the parameters to make a run of its own."
            ) from error
        difference = _first_difference(entry["files"], content["files"])
        if difference is not None:
            raise InputError(
                f"{name}: {entry['path']}{difference} since run {original['id']}; bring the old file back, or take "
                "rerun_of out of the parameters to make a run of its own."
            )


def _first_difference(before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """The first file that differs, as a clause after the path of its dataset."""
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            happened = "was added" if name not in before else "is missing" if name not in now else "was changed"
            return f"{'/' if name else ''}{name} {happened}"
    return None


def _escape(value: Any) -> Any:
    """The value with every ``${`` of its texts escaped, which OmegaConf would take for a reference."""
    if isinstance(value, dict):
        return {key: _escape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_escape(one) for one in value]
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", value)
    return value
