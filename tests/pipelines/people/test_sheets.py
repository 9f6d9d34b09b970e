"""Who rates what, in which order, and what the sheet gives away."""

from __future__ import annotations

import json
import re
from io import BytesIO
from itertools import pairwise
from zipfile import ZipFile

import openpyxl
import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.pipelines.judge.candidates import candidate_texts
from med_lora.pipelines.people.sheets import KEY_COLUMNS, make_rating_sheets
from med_lora.sampling import draw_pairs
from tests import recipes
from tests.report_pages import Page

from .rated import KINDS, Table, answers, sheets, split


def of_rater(key: pd.DataFrame, rater: str) -> pd.DataFrame:
    return key[key["rater"] == rater]


def test_every_model_arm_and_the_reference_are_rated_and_controls_are_not() -> None:
    people = recipes.people(items=3)
    kinds = {**KINDS, "base_rag": "model", "tuned_rag": "model"}
    _, key = make_rating_sheets(split(), answers(kinds=kinds), people, "trial")
    assert list(key.columns) == KEY_COLUMNS
    drawn = draw_pairs(split().frame, 3, people.seed)
    for rater in people.raters:
        rated = of_rater(key, rater)[lambda rows: rows["rival"] == ""]
        assert sorted(zip(rated["id"], rated["arm"], strict=True)) == sorted(
            (pair, arm) for pair in drawn for arm in ("base", "base_rag", "gold", "tuned", "tuned_rag")
        )
    assert dict(zip(key["id"], key["group"], strict=True)) == {pair: 10 + int(pair[-1]) for pair in drawn}


def test_comparisons_come_last_and_each_arm_is_first_in_half_of_them() -> None:
    _, key = sheets(count=6)
    for rater in ("anna", "ben"):
        rows = of_rater(key, rater)
        assert list(rows["position"]) == list(range(1, 25))
        assert list(rows["rival"] != "") == [False] * 18 + [True] * 6
        assert sorted(rows["arm"][18:]) == ["base"] * 3 + ["tuned"] * 3
        assert all(
            {arm, rival} == {"base", "tuned"} for arm, rival in zip(rows["arm"][18:], rows["rival"][18:], strict=True)
        )
        assert rows["id"][18:].is_unique
    _, key = sheets(recipes.people(preference=False))
    assert set(key["rival"]) == {""}


@pytest.mark.parametrize("count", [2, 5])
def test_answers_to_one_question_do_not_follow_each_other(count: int) -> None:
    for seed in range(3):
        _, key = sheets(recipes.people(items=count, seed=seed), count)
        for rater in ("anna", "ben"):
            ids = list(of_rater(key, rater)["id"])
            assert all(one != other for one, other in pairwise(ids))


def test_raters_have_orders_and_codes_of_their_own() -> None:
    _, key = sheets()
    anna, ben = (of_rater(key, rater) for rater in ("anna", "ben"))
    orders = [list(zip(rows["id"], rows["arm"], rows["rival"], strict=True)) for rows in (anna, ben)]
    assert orders[0] != orders[1]
    assert sorted(orders[0][:12]) == sorted(orders[1][:12])
    assert key["item"].is_unique
    assert key["sheet"].nunique() == 2


def test_codes_are_letters_in_no_order_and_change_with_any_answer() -> None:
    _, key = sheets()
    assert all(re.fullmatch("[B-DF-HJ-NP-TV-XZ]{10}", code) for code in key["item"])
    assert all(re.fullmatch("[B-DF-HJ-NP-TV-XZ]{20}", code) for code in key["sheet"])
    codes = list(of_rater(key, "anna")["item"])
    assert codes not in (sorted(codes), sorted(codes, reverse=True))
    _, other = sheets(empty_answer="no longer empty")
    assert not set(other["item"]) & set(key["item"]), "seed and ids alone give the codes away"


def test_a_sheet_of_other_texts_or_axes_has_another_hash() -> None:
    hashes = {
        *sheets()[1]["sheet"],
        *sheets(tuned="changed")[1]["sheet"],
        *sheets(recipes.people(axes=[recipes.axis("accuracy")]))[1]["sheet"],
        *make_rating_sheets(split(), answers(), recipes.people(), "another")[1]["sheet"],
    }
    assert len(hashes) == 8


def test_equal_inputs_in_any_order_give_equal_bytes() -> None:
    shuffled = Table(split().frame.sample(frac=1, random_state=1))
    files, key = make_rating_sheets(shuffled, answers().sample(frac=1, random_state=2), recipes.people(), "trial")
    expected, expected_key = sheets()
    assert list(files) == ["anna.xlsx", "anna.html", "ben.xlsx", "ben.html"]
    assert files == expected
    pd.testing.assert_frame_equal(key, expected_key)


def test_no_sheet_names_an_arm_or_an_id() -> None:
    files, _ = sheets()
    for name, content in files.items():
        texts = [content]
        if name.endswith(".xlsx"):
            with ZipFile(BytesIO(content)) as archive:
                texts = [archive.read(member) for member in archive.namelist()]
        for text in texts:
            shown = re.sub(rb"<style>.*</style>", b"", text, flags=re.DOTALL)
            assert not re.search(rb"corpus:|tuned|gold|trial|\"arm", shown)
            assert not re.search(rb">base<|\"base\"", shown)


def test_raters_and_judge_see_the_same_words() -> None:
    marked = answers(base="## Re\u200bst\n\n- **Ice** \u202ehelps\r\n", tuned="* Heat\u200c, and `rest`")
    given = split()
    given.frame["question"] = "**What**\u00ad helps? " + given.frame["id"]
    files, key = make_rating_sheets(given, marked, recipes.people(raters=["anna"], preference=False), "trial")
    judged = candidate_texts(marked, list(given.frame["id"]))
    shown = json.loads(Page(files["anna.html"].decode()).scripts[0])["items"]
    for item, row in zip(shown, key.to_dict("records"), strict=True):
        assert item["question"] == f"What helps? {row['id']}"
        assert item["answers"] == [judged[row["id"], row["arm"]]]
    texts = {arm: judged["corpus:0", arm] for arm in ("base", "tuned")}
    assert texts == {"base": "Rest\nIce helps", "tuned": "Heat, and rest"}
    page = openpyxl.load_workbook(BytesIO(files["anna.xlsx"]))["Ratings"]
    assert {cell.value for cell in page["C"]} >= set(texts.values())


def test_a_mark_of_a_chat_template_is_shown_as_written() -> None:
    files, _ = sheets(tuned="Rest.<|im_end|>")
    items = json.loads(Page(files["anna.html"].decode()).scripts[0])["items"]
    assert "Rest.<|im_end|>" in {answer for item in items for answer in item["answers"]}


def test_faults_are_named() -> None:
    with pytest.raises(InputError, match=r"people\.raters is empty"):
        sheets(recipes.people(raters=[]))
    with pytest.raises(InputError, match="an axis comment"):
        sheets(recipes.people(axes=[recipes.axis("comment")]))
    with pytest.raises(InputError, match="lacks answers of every arm"):
        make_rating_sheets(split(), answers().iloc[:0], recipes.people(), "trial")
    with pytest.raises(InputError, match="lacks answers of base"):
        make_rating_sheets(split(), answers()[1:], recipes.people(), "trial")
