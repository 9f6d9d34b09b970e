"""The points of a grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

from med_lora.errors import InputError
from med_lora.parameters import ProjectParams, SweepParams
from med_lora.parameters.trials import Setting
from med_lora.pipelines.stages import stages_of
from med_lora.trials.settings import SECTIONS, TrialParams, apply_settings, name_of, read_setting

UNCHANGED = "unchanged"


class Point(NamedTuple):
    """One combination of settings.

    Attributes:
        name: of its namespace and files.
        settings: a value for every key of the grid.
    """

    name: str
    settings: Mapping[str, Setting]


def points_of(parameters: ProjectParams) -> tuple[Point, ...]:
    """The points of an experiment's sweep, each checked as a whole experiment would be; none without a grid.

    Raises:
        InputError: for an unknown key, a value that is not allowed, or settings that contradict each other.
    """
    points = make_points(parameters.sweep, TrialParams.of(parameters))
    for point in points:
        settled = apply_settings(TrialParams.of(parameters), point.settings)
        stages_of(parameters.model_copy(update={name: getattr(settled, name) for name in SECTIONS}))
    return points


def make_points(sweep: SweepParams, parameters: TrialParams) -> tuple[Point, ...]:
    """Every combination of the grid's values; or every value with the others as ``parameters`` have them.

    In the latter design the parameters as they are make a point of their own, ``unchanged``, if a value of the grid is
    what they have.

    Raises:
        InputError: for an unknown key, a value that is not allowed, or two points of one name.
    """
    if not sweep.grid:
        return ()
    given = {key: read_setting(parameters, key) for key in sweep.grid}
    points = list(_one_at_a_time(sweep.grid, given) if sweep.design == "one_at_a_time" else _full(sweep.grid))
    for point in points:
        apply_settings(parameters, point.settings)
    names = [point.name for point in points]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"Two points of sweep.grid would both be named {twice!r}; leave one of their values out.")
    return tuple(points)


def _full(grid: Mapping[str, list[Setting]]) -> Iterator[Point]:
    for values in product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        yield Point(name_of(settings), settings)


def _one_at_a_time(grid: Mapping[str, list[Setting]], given: Mapping[str, Setting]) -> Iterator[Point]:
    if any(_is_same(value, given[key]) for key, values in grid.items() for value in values):
        yield Point(UNCHANGED, given)
    for key, values in grid.items():
        for value in values:
            if not _is_same(value, given[key]):
                yield Point(name_of({key: value}, grid), {**given, key: value})


def _is_same(one: Setting, other: Setting) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)
