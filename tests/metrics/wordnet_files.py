"""A WordNet of a handful of words, in the format of wndb(5WN)."""

from __future__ import annotations

from pathlib import Path

LICENCE = "  1 WordNet 9.9 Copyright of nobody.  \n"
# part of speech, its letter, lexicographer file, synsets
SYNSETS = {
    "noun": ("n", "18", [("doctor", "physician", "medical_man"), ("pain", "ache")]),
    "verb": ("v", "29", [("ache", "hurt")]),
    "adj": ("a", "00", [("fast", "quick")]),
    "adv": ("r", "02", [("fast", "quickly")]),
}


def write_wordnet(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for part, (letter, file, synsets) in SYNSETS.items():
        data, senses = LICENCE, {}
        for synset in synsets:
            offset = len(data)
            for word in synset:
                senses.setdefault(word, []).append(offset)
            words = " ".join(f"{word} 0" for word in synset)
            data += f"{offset:08d} {file} {letter} {len(synset):02x} {words} 000 | a meaning  \n"
        index = "".join(
            f"{word} {letter} {len(places)} 0 {len(places)} 0 {' '.join(f'{place:08d}' for place in places)}  \n"
            for word, places in sorted(senses.items())
        )
        (folder / f"data.{part}").write_text(data)
        (folder / f"index.{part}").write_text(LICENCE + index)
        (folder / f"{part}.exc").write_text("")
    return folder
