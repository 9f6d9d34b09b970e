"""Configuration as plain trees: read, merged and resolved as OmegaConf does it, without a node object a value.

OmegaConf takes half a second for what these functions do in a few hundredths. What they do not know (a reference
that is not of the plainest form, or over a mapping, a tuple) they leave to it. One thing they do in its stead: a list
over a mapping, or the reverse, takes its place, so that the check of the parameters names the key.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import click
import yaml
from kedro.config import MissingConfigException
from omegaconf._utils import get_yaml_loader

SUFFIXES = (".yml", ".yaml", ".json")
MISSING = "???"  # OmegaConf's word for a value that is still to be given
# `${globals:seed}`: a resolver and a dotted key, nothing nested, no default.
_REFERENCE = re.compile(r"\$\{(\w+):([\w.-]*)\}")

Resolvers = Mapping[str, Callable[[str], Any]]


class NotPlainError(Exception):
    """The tree holds what only OmegaConf knows how to resolve."""


@functools.cache
def _yaml_loader() -> Any:
    """OmegaConf's rules (no key twice, ``2e-4`` a number, no dates) over the parser in C, where there is one."""
    rules: Any = get_yaml_loader()
    return type("Loader", (yaml.CSafeLoader, rules), {}) if yaml.__with_libyaml__ else rules


def list_files(folder: Path, kind: str) -> list[Path]:
    """YAML and JSON files whose name, or whose top folder, begins with ``kind``; hidden ones are left out.

    Raises:
        MissingConfigException: if the folder does not exist.
    """
    if not folder.is_dir():
        raise MissingConfigException(f"The folder {folder} of the configuration does not exist.")
    found = []
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        is_named = parts[0].startswith(kind) or parts[-1].startswith(kind)
        if is_named and file.suffix in SUFFIXES and file.is_file() and not any(part[0] == "." for part in parts):
            found.append(file)
    return found


def read_mapping(file: Path) -> dict[str, Any]:
    """The content of a file, not to be changed; an empty one is an empty mapping.

    Raises:
        click.ClickException: if it is not valid YAML in UTF-8, or is no mapping.
    """
    try:
        content = _read_yaml(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file} is not in UTF-8; save it in that encoding.") from error
    except yaml.YAMLError as error:
        raise click.ClickException(f"{file} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise click.ClickException(f"{file} must map parameter names to values.")
    return content


@functools.lru_cache(maxsize=64)  # a process that reads the configuration again has the same few files
def _read_yaml(text: str) -> Any:
    with contextlib.suppress(yaml.YAMLError):
        content = yaml.load(text, _yaml_loader())
        return {} if content is None else content
    return yaml.load(text, get_yaml_loader())  # the parser in Python says better what is wrong


def merge_trees(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A new tree in which mappings are joined key by key, and any other value of ``over`` takes the place of the first.

    Raises:
        NotPlainError: if a mapping lies over a reference, or a value over which nothing is given.
    """
    merged = dict(under)
    for key, value in over.items():
        before = merged.get(key)
        if value == MISSING or (isinstance(value, Mapping) and isinstance(before, str) and "${" in before):
            raise NotPlainError
        is_joined = isinstance(value, Mapping) and isinstance(before, Mapping)
        merged[key] = merge_trees(before, value) if is_joined else deepcopy(value)  # type: ignore[arg-type]
    return merged


def check_layer(under: Mapping[str, Any], over: Mapping[str, Any]) -> None:
    """Raise NotPlainError where a reference lies over a mapping: it takes its place, whatever it stands for."""
    for key, value in over.items():
        before = under.get(key)
        if isinstance(before, Mapping) and isinstance(value, str) and "${" in value:
            raise NotPlainError
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            check_layer(before, value)


def resolve_tree(tree: Any, resolvers: Resolvers) -> Any:
    """A new tree with every reference replaced by what its resolver says.

    Raises:
        NotPlainError: if a reference is of another form, or its resolver does not know it.
    """
    if isinstance(tree, str):
        return _resolve_text(tree, resolvers) if "${" in tree else tree
    if isinstance(tree, dict):
        return {key: resolve_tree(value, resolvers) for key, value in tree.items()}
    if isinstance(tree, list):
        return [resolve_tree(value, resolvers) for value in tree]
    if tree is None or isinstance(tree, bool | int | float):
        return tree
    raise NotPlainError


def _resolve_text(text: str, resolvers: Resolvers) -> Any:
    def look_up(reference: re.Match[str]) -> Any:
        try:
            return resolvers[reference[1]](reference[2])
        except KeyError as error:  # OmegaConf says it in a sentence
            raise NotPlainError from error

    if "\\" in text or "${" in _REFERENCE.sub("", text):
        raise NotPlainError
    if whole := _REFERENCE.fullmatch(text):
        return deepcopy(look_up(whole))
    return _REFERENCE.sub(lambda reference: _as_text(look_up(reference)), text)


def _as_text(value: Any) -> str:
    if isinstance(value, dict | list):  # OmegaConf refuses it in a sentence
        raise NotPlainError
    return str(value)


def look_up(tree: Mapping[str, Any], path: str, *, off_is_none: bool = False) -> Any:
    """The value under a dotted path; with ``off_is_none``, None below a section that is switched off.

    Raises:
        KeyError: if there is none.
    """
    value: Any = tree
    for key in path.split("."):
        if value is None and off_is_none:
            return None
        if not isinstance(value, Mapping) or key not in value:
            raise KeyError(f"parameter {path!r}, which does not exist")
        value = value[key]
    return value
