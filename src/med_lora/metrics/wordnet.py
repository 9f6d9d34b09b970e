"""WordNet as METEOR needs it: where its files lie, and the synonyms of a word."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from med_lora.errors import InputError

DEBIAN = Path("/usr/share/wordnet")  # of the package wordnet-base
PARTS = ("noun", "verb", "adj", "adv")
# Lexicographer files by part of speech, numbered in this order (lexnames(5WN)); Debian leaves the list out.
LEXICOGRAPHER_FILES = (
    ("adj", 3, "all pert"),
    ("adv", 4, "all"),
    (
        "noun",
        1,
        "Tops act animal artifact attribute body cognition communication event feeling food group location motive "
        "object person phenomenon plant possession process quantity relation shape state substance time",
    ),
    (
        "verb",
        2,
        "body change cognition communication competition consumption contact creation emotion motion perception "
        "possession social stative weather",
    ),
    ("adj", 3, "ppl"),
)


@dataclass(frozen=True)
class WordNetFiles:
    """An NLTK data folder that holds ``corpora/wordnet``, or a zip archive of it; "" for those NLTK knows anyway."""

    folder: str


@contextmanager
def find_wordnet(system: Path = DEBIAN) -> Iterator[WordNetFiles | None]:
    """The WordNet of NLTK's data folders, else a copy of the system's for as long as the context is open, else None.

    NLTK reads no file outside its data folders and follows no link out of them, so the system's files are copied (27
    MB) into a temporary one. Nothing is downloaded.

    Args:
        system: folder with ``data.*``, ``index.*`` and ``*.exc``.
    """
    import nltk.data

    if _known(nltk.data.path):
        yield WordNetFiles("")
    elif not (system / "data.noun").is_file():
        yield None
    else:
        with tempfile.TemporaryDirectory(prefix="med_lora-wordnet-") as folder:
            with suppress(OSError):  # a copy that is not whole cannot be read, and whoever reads it says so
                _lay_out(system, Path(folder) / "corpora" / "wordnet")
            try:
                yield WordNetFiles(folder)
            finally:
                nltk.data.path[:] = [known for known in nltk.data.path if known != folder]


class WordNet:
    """Synonyms of words, looked up once each; ``reader`` is NLTK's own."""

    def __init__(self, files: WordNetFiles) -> None:
        """Open the files.

        Raises:
            InputError: if there are none, or they cannot be read.
        """
        import nltk.data
        from nltk.corpus.reader.wordnet import WordNetError

        if files.folder and files.folder not in nltk.data.path:
            nltk.data.path.append(files.folder)  # NLTK opens nothing outside these folders
        try:
            self.reader = _make_reader([files.folder] if files.folder else nltk.data.path)
        except (OSError, ValueError, LookupError, AssertionError, StopIteration, WordNetError) as error:
            place = files.folder or "NLTK's data folders"
            raise InputError(
                f"The WordNet in {place} cannot be read ({type(error).__name__}); install wordnet-base again."
            ) from error
        self.version = str(self.reader.get_version())
        self._synonyms: dict[str, frozenset[str]] = {}

    def synonyms(self, word: str) -> frozenset[str]:
        """The single words of all synsets of ``word``."""
        if word not in self._synonyms:
            names = {name for synset in self.reader.synsets(word) for name in synset.lemma_names()}
            self._synonyms[word] = frozenset(name for name in names if "_" not in name)
        return self._synonyms[word]


def _known(folders: list[Any]) -> Any:
    """NLTK's pointer to a WordNet in the folders, or None."""
    import nltk.data

    for resource in ("corpora/wordnet", "corpora/wordnet.zip/wordnet/"):
        try:
            return nltk.data.find(resource, folders)
        except (LookupError, OSError):
            continue
    return None


def _make_reader(folders: list[Any]) -> Any:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Reader(WordNetCorpusReader):
        def map_wn(self, version: str = "wordnet") -> None:
            """No map between versions, which other languages need: it would ask for ``index.sense``."""

    found = _known(folders)
    if found is None:
        raise LookupError("no WordNet")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The multilingual functions are not available")
        warnings.filterwarnings("ignore", message="No WordNet synset found")
        reader = Reader(found, None)
        _check_ends(reader)
    return reader


def _check_ends(reader: Any) -> None:
    """Raise a LookupError unless the last synset of every part can be read: the reader opens the indices alone."""
    places = reader._lemma_pos_offset_map.values()
    for letter in "nvar":
        last = max(offset for known in places for offset in known.get(letter, ()))
        if reader.synset_from_pos_and_offset(letter, last) is None:
            raise LookupError(f"no synset at {last} of {letter}")


def _lay_out(system: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    for part in PARTS:
        for name in (f"data.{part}", f"index.{part}", f"{part}.exc"):
            if (system / name).is_file():
                shutil.copyfile(system / name, folder / name)
    # last: NLTK reads nothing without it
    (folder / "lexnames").write_text(lexnames(), encoding="ascii")


def lexnames() -> str:
    """WordNet's file of this name: number, name and part of speech of each lexicographer file, separated by tabs."""
    rows = [(f"{part}.{name}", number) for part, number, names in LEXICOGRAPHER_FILES for name in names.split()]
    return "".join(f"{place:02d}\t{name}\t{number}\n" for place, (name, number) in enumerate(rows))
