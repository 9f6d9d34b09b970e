"""What every reader is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from med_lora.layouts import Layout


@dataclass(frozen=True)
class Source:
    """One file of a corpus.

    Attributes:
        place: name of the file in messages.
        open: opens the file for binary reading; the stream can seek.
        layout: columns looked for.
        columns: column of the layout -> column of the file, where the two differ.
        encoding: character encoding of text files.
        corpus: name of the corpus, for messages that name its parameters.
    """

    place: str
    open: Callable[[], BinaryIO]
    layout: Layout
    columns: Mapping[str, str]
    encoding: str
    corpus: str
