"""The error of a dataset that a user can mend."""

from __future__ import annotations

from kedro.io.core import DatasetError

from med_lora.errors import InputError


class DatasetInputError(InputError, DatasetError):
    """An ``InputError`` from inside a dataset.

    It is a ``DatasetError`` too because Kedro passes those on as they are, and wraps everything else that a
    dataset raises in a message of several lines.
    """
