from __future__ import annotations

import unicodedata
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med_lora.pipelines.data_engineering.text import clean_text, comparison_key, has_words


@pytest.mark.parametrize(
    "text",
    [
        "pH <7 and >5",
        "give < 5 mg, or >= 3 g",
        "a <b and c> d",
        "if p<0.05 & n>30",
        "<unknown> mark-up, <3 days, <-",
        "R&D, AT&T, R&regular; 5 % of 100%25",
        "first line\nsecond line\n\nnew paragraph",
        "naïve β-blocker 10^9/L, Ménière",
        "Ångström, Ðorđević, São Tomé, ÂGE, Â, âge, √2, ‚so‘, CÔTÉ, Îles, Ñandú, ±5 °C, 3 × 10 µm, Α and Ω, “quoted”",
        "Πνευμονία, пневмония, 肺炎, pneumonía, Lungenentzündung, nyúlős",
    ],
)
def test_medical_text_survives(text: str) -> None:
    assert clean_text(text) == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("<p>One.</p><p>Two&nbsp;three</p>", "One.\n\nTwo three"),
        ("a<br/>b<BR>c", "a\nb\nc"),
        ('<a href="x?a=1&amp;b=2" target=_blank>link</a> <b >bold</b>', "link bold"),
        ("10<sup>9</sup>/L, m<sub>2</sub>, 1<sup>st</sup>", "10^9/L, m2, 1st"),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n\n- two"),
        ("<td>a</td><td>b</td>", "a b"),
        ("seen<!-- not\nseen --><script>alert(1)</script>", "seen"),
        ('text.<ref name="a">Book, p. 3</ref> More<ref name="a"/>.', "text. More ."),
        ("It&#39;s &lt;5 mg &amp; &ge; 2", "It's <5 mg & ≥ 2"),
        ("x &amp;lt;br&amp;gt; y", "x\ny"),
        ("Guillain-Barr%C3%A9 and Huntington%27s", "Guillain-Barré and Huntington's"),
        ("e\u0301\u00a0\u2003 a\tb \u200b\ufeff\x07\x00c\u00ad", "é a b c"),
        ("one\r\ntwo\rthree\u2028four\n\n\n\nfive", "one\ntwo\nthree\nfour\n\nfive"),
        ("ef\ufb01cient \ud800", "efficient"),
        ("10 \ufffdg", "10 \ufffdg"),
        ("BMI \uf0b3 30 \ue001kg", "BMI ≥ 30 kg"),
        (
            "it\u00e2\u20ac\u2122s 98.6 \u00c2\u00b0F, \u00c2\u00bd inch, M\u00c3\u00a9ni\u00c3\u00a8re",
            "it’s 98.6 °F, ½ inch, Ménière",
        ),
        ("to do?\u00c2\u00a0 and \u00e2\u0080\u009cso\u00e2\u0080\u009d", "to do? and “so”"),
        ("\u00ce\u00b2-blocker", "β-blocker"),
        ("na\u221a\u00d8ve patients don\u201a\u00c4\u00f4t", "naïve patients don’t"),
        ("caf&Atilde;&copy; <b>M\u00c3\u00bcller</b>", "café Müller"),
        ("  ", ""),
    ],
)
def test_mark_up_entities_and_odd_characters_go(text: str, clean: str) -> None:
    assert clean_text(text) == clean


PIECES = st.sampled_from(
    [
        "<",
        ">",
        "</",
        "b",
        "br",
        "p",
        "sup",
        "2",
        "&",
        "lt;",
        "amp;",
        "#39;",
        " ",
        "\n",
        "\r",
        "\u00a0",
        "e",
        "\u0301",
        "%C3%A9",
        "=",
        "\u00c2",
        "\u00c3",
        "\u00a9",
        "\u00e2\u20ac\u2122",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=60))
def test_cleaning_is_idempotent_and_leaves_no_control_character(text: str) -> None:
    clean = clean_text(text)
    assert clean_text(clean) == clean == clean.strip()
    assert unicodedata.is_normalized("NFC", clean)
    assert not [char for char in clean if unicodedata.category(char) in ("Cc", "Cs", "Co") and char != "\n"]


@pytest.mark.parametrize("piece", ["<a b", "<!--", "<ref ", "<sup>", "<script>", "&#", "<b x=", "< ", "%C3", "\u00c3"])
def test_time_grows_with_the_length_of_broken_mark_up_not_with_its_square(piece: str) -> None:
    def seconds(size: int) -> float:
        started = process_time()
        clean_text(piece * (size // len(piece)))
        return process_time() - started

    # Eight times the text takes eight times the time, or 64 times if the time grows with the square.
    assert seconds(48_000) < 30 * max(min(seconds(6_000) for _ in range(3)), 0.001)


def test_comparison_key_ignores_case_punctuation_and_space() -> None:
    assert comparison_key("What is  GOUT ?") == comparison_key("what is gout")
    assert comparison_key("pH <7") != comparison_key("pH >7")
    assert not has_words("?! ... _")
    assert has_words("β")
