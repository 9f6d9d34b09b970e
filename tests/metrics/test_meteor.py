"""METEOR against NLTK called directly, and where WordNet comes from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from med_lora.errors import InputError
from med_lora.metrics.meteor import Meteor
from med_lora.metrics.wordnet import DEBIAN, WordNet, WordNetFiles, find_wordnet, lexnames

from .pairs import SCORED
from .wordnet_files import write_wordnet

SYNONYMS = ("Ask a doctor about the pain.", "Ask a physician about the ache.")


@pytest.fixture(autouse=True)
def _no_data_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """NLTK knows of no data, whatever this machine holds."""
    import nltk.data

    monkeypatch.setattr(nltk.data, "path", [])


def score(meteor: Meteor, answer: str, reference: str) -> float:
    return meteor.score(meteor.tokenise(answer), meteor.tokenise(reference))


def test_without_wordnet_words_match_as_they_are_and_by_stem() -> None:
    meteor = Meteor(None)
    assert meteor.name == "meteor_exact_stem"
    for pair in SCORED:
        assert score(meteor, pair.answer, pair.reference) == pytest.approx(pair.meteor_exact_stem, abs=1e-12)


@pytest.mark.skipif(not (DEBIAN / "data.noun").is_file(), reason="needs Debian's package wordnet-base")
def test_with_debians_wordnet_synonyms_match() -> None:
    with find_wordnet() as files:
        assert files is not None
        meteor = Meteor(WordNet(files))
        assert meteor.name == "meteor"
        assert meteor.signature.endswith("synonyms:WordNet 3.0")
        for pair in SCORED:
            assert score(meteor, pair.answer, pair.reference) == pytest.approx(pair.meteor, abs=1e-12)


def test_a_copy_of_the_systems_wordnet_is_read_and_then_removed(tmp_path: Path) -> None:
    import nltk.data
    from nltk.tokenize import NLTKWordTokenizer
    from nltk.translate.meteor_score import single_meteor_score

    system = write_wordnet(tmp_path / "system")
    with find_wordnet(system) as files:
        assert files is not None
        words = WordNet(files)
        assert words.version == "9.9"
        assert words.synonyms("ache") == {"ache", "hurt", "pain"}
        assert words.synonyms("doctors") == {"doctor", "physician"}  # medical_man is two words
        assert words.synonyms("gout") == set()
        found = score(Meteor(words), *SYNONYMS)
        tokens = [NLTKWordTokenizer().tokenize(text) for text in SYNONYMS]
        assert found == single_meteor_score(tokens[1], tokens[0], wordnet=words.reader)
        assert found > score(Meteor(None), *SYNONYMS) + 0.2
        assert Path(files.folder).is_dir()
    assert not Path(files.folder).exists()
    assert nltk.data.path == []


@pytest.mark.parametrize("zipped", [False, True])
def test_a_wordnet_in_nltks_data_folders_comes_first(
    zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nltk.data

    corpora = tmp_path / "data" / "corpora"
    write_wordnet(corpora / "wordnet")
    (corpora / "wordnet" / "lexnames").write_text(lexnames())
    if zipped:
        shutil.make_archive(str(corpora / "wordnet"), "zip", corpora, "wordnet")
        shutil.rmtree(corpora / "wordnet")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "data")])
    with find_wordnet(tmp_path / "nowhere") as files:
        assert files == WordNetFiles("")
        assert score(Meteor(WordNet(files)), *SYNONYMS) > score(Meteor(None), *SYNONYMS)


def test_a_copy_that_is_not_whole_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    system = write_wordnet(tmp_path / "system")
    monkeypatch.setattr(shutil, "copyfile", fill)
    with find_wordnet(system) as files:
        assert files is not None
        with pytest.raises(InputError, match=r"WordNet in .* cannot be read"):
            WordNet(files)


def test_a_copy_that_cannot_be_begun_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(folder: Path, *given: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    system = write_wordnet(tmp_path / "system")
    with monkeypatch.context() as full:
        full.setattr(Path, "mkdir", fill)
        with find_wordnet(system) as files:
            assert files is not None
            assert not list(Path(files.folder).iterdir())
            with pytest.raises(InputError, match=r"WordNet in .* cannot be read \(LookupError\)"):
                WordNet(files)


def test_where_there_is_no_wordnet_there_is_none(tmp_path: Path) -> None:
    with find_wordnet(tmp_path) as files:
        assert files is None


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("damage", ["empty", "absent", "torn", "garbled"])
def test_a_damaged_wordnet_is_refused_by_name(damage: str, tmp_path: Path) -> None:
    system = write_wordnet(tmp_path / "system")
    if damage == "absent":
        (system / "index.verb").unlink()
    else:
        name = "data.noun" if damage == "empty" else "index.noun"
        (system / name).write_text({"empty": "", "torn": "word n 3", "garbled": "word n many 0 many 0 x"}[damage])
    with find_wordnet(system) as files:
        assert files is not None
        with pytest.raises(InputError, match=r"WordNet in .* cannot be read"):
            WordNet(files)


def test_the_lexicographer_files_are_numbered_as_wordnet_numbers_them() -> None:
    rows = [line.split("\t") for line in lexnames().splitlines()]
    assert [int(number) for number, _, _ in rows] == list(range(45))
    # lexnames(5WN)
    known = {0: ("adj.all", "3"), 3: ("noun.Tops", "1"), 29: ("verb.body", "2"), 44: ("adj.ppl", "3")}
    assert {number: (rows[number][1], rows[number][2]) for number in known} == known
