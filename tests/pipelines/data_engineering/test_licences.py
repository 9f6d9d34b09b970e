from __future__ import annotations

import pytest

from med_lora.errors import InputError
from med_lora.parameters import CorpusParams
from med_lora.pipelines.data_engineering.licences import check_licences, licence_table, refusal


def corpora(**licences: str) -> dict[str, CorpusParams]:
    return {
        name: CorpusParams(layout="pairs", title=f"Corpus {name}", licence=licence, files="x")
        for name, licence in licences.items()
    }


PERMISSIVE = "CC0-1.0 cc-by-4.0 CC-BY-SA-3.0 Apache-2.0 MIT BSD-3-Clause ODC-By-1.0 ODbL-1.0 PDDL-1.0 PUBLIC-DOMAIN"


@pytest.mark.parametrize("licence", [*PERMISSIVE.split(), " mit "])
def test_a_licence_that_permits_any_use_is_not_refused(licence: str) -> None:
    assert refusal(licence) is None


@pytest.mark.parametrize(
    ("licence", "reason"),
    [
        ("CC-BY-NC-SA-4.0", "CC-BY-NC-SA-4.0 forbids commercial use"),
        ("cc-by-nc-4.0", "CC-BY-NC-4.0 forbids commercial use"),
        ("CC-BY-NC-ND-2.0", "CC-BY-NC-ND-2.0 forbids commercial use"),
        ("CC-BY-ND-4.0", "CC-BY-ND-4.0 forbids derivatives, which weights may be"),
        ("Unknown", "its licence is unknown"),
        ("CC BY 4.0", "its licence CC BY 4.0 is not known here, the nearest known is CC-BY-4.0"),
        ("ask our lawyers", "its licence ask our lawyers is not known here"),
    ],
)
def test_any_other_licence_is_refused_with_its_reason(licence: str, reason: str) -> None:
    assert refusal(licence) == reason


def test_all_refused_corpora_in_use_are_named_at_once() -> None:
    known = corpora(a="CC-BY-NC-4.0", b="MIT", c="unknown", d="CC-BY-ND-4.0")
    with pytest.raises(InputError) as raised:
        check_licences(known, ["a", "b", "c", "a"], [])
    assert str(raised.value) == (
        "These corpora may not be trained on: a (CC-BY-NC-4.0 forbids commercial use), c (its licence is unknown); "
        "mend corpora.<name>.licence, leave the corpus out, or accept the terms by adding CC-BY-NC-4.0, unknown to "
        "data_engineering.allow_licences."
    )
    check_licences(known, ["b"], [])


def test_an_experiment_may_allow_a_licence() -> None:
    known = corpora(a="CC-BY-NC-4.0", c="unknown", d="House rules")
    check_licences(known, ["a", "c"], ["cc-by-nc-4.0", "UNKNOWN"])
    check_licences(known, ["d"], ["unknown"])
    check_licences(known, ["d"], ["house rules"])
    with pytest.raises(InputError, match="This corpus may not be trained on: a "):
        check_licences(known, ["a"], ["unknown", "CC-BY-NC-SA-4.0"])


def test_the_table_says_who_allows_what() -> None:
    known = corpora(a="cc-by-nc-4.0", b="CC-BY-SA-4.0", c="unknown", d="MIT", e="ODbL-1.0")
    table = licence_table(known, ["b", "a", "c", "e"], ["CC-BY-NC-4.0"])
    assert list(table.columns) == ["corpus", "title", "licence", "commercial_use", "share_alike", "allowed_by"]
    assert table.to_numpy().tolist() == [
        ["b", "Corpus b", "CC-BY-SA-4.0", "yes", "yes", "licence"],
        ["a", "Corpus a", "CC-BY-NC-4.0", "no", "no", "experiment"],
        ["c", "Corpus c", "unknown", "unknown", "unknown", "nothing"],
        ["e", "Corpus e", "ODbL-1.0", "yes", "yes", "licence"],
    ]
