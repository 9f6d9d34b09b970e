"""Rows of every layout that is read row by row, each with the outcome that a run must give it."""

from __future__ import annotations

import json
from typing import Any

from tests.experiments import pair


def line(number: int, **changes: Any) -> bytes:
    question, answer = pair(number)
    return json.dumps({"question": question, "answer": answer} | changes).encode()


# Records of layout pairs, each with the outcome that it must have.
LINES: list[tuple[bytes, str]] = [
    (b"\xef\xbb\xbf" + line(0, id="00012", answer="NA"), "kept"),
    (line(1, id="7", answer="nan"), "kept"),
    (line(2, id=12, answer=12.50), "kept"),
    (line(3, id="id"), "kept"),
    (line(4, id="null", answer="null"), "kept"),
    (line(5, id="nul", answer="Rest\0 helps."), "kept"),
    (line(6, id="raw-nul").replace(b"eases", b"ea\0ses"), "kept"),
    (line(7, id="lone", answer="Half a pair \ud83d stays out."), "kept"),
    (line(8, id="00007"), "kept"),
    (line(9)[:40], "malformed_json"),
    (b"\0\0\0", "malformed_json"),
    (line(10, answer="1e400").replace(b'"1e400"', b"1e400"), "wrong_type_answer"),
    (line(11).replace(b"ease ", b"ease caf\xe9 "), "not_utf8"),
    (line(12, answer="x" * (16 * 2**20 + 1)), "record_too_large"),
    (b'{"question": "Does rest help?"}', "missing_answer"),
    (b'{"answer": "Rest helps."}', "missing_question"),
    (b'["question", "answer"]', "not_an_object"),
    (b"3", "not_an_object"),
    (line(13, answer=["Rest", "ice"]), "wrong_type_answer"),
    (line(14, id={"a": 1}), "wrong_type_id"),
    (line(15, answer=None), "empty_answer"),
    (line(16, answer=""), "empty_answer"),
    (line(17, answer="..."), "empty_answer"),
    (line(18, question=None), "empty_question"),
    (line(19, id="7"), "duplicate_id"),
    (line(20, id="7"), "duplicate_id"),
    (line(21, question="Does " * 2000), "kept"),
    (line(22, answer="Rest " * 500), "answer_too_long"),
    (line(3, id="again"), "exact_duplicate"),
    (line(23)[:-3], "malformed_json"),  # the last line, without its end
]
TABLE: list[tuple[str, str]] = [
    ("00012,Is a table read as text?,NA", "kept"),
    ('00013,Are quotes undone?,"He said ""rest"", and left."', "kept"),
    ("00014,Too few fields", "malformed_row"),
    ("00015,Too many fields?,Yes there are.,more", "malformed_row"),
    ('00016,Text behind a quote?,"Yes there is."more', "malformed_row"),
    ("00017,No answer?,", "empty_answer"),
    ("00012,Does an id come twice?,Yes it does.", "duplicate_id"),
    ('00018,No closing quote?,"Yes it is missing', "malformed_row"),
]
CHATS: list[tuple[Any, str]] = [
    ([{"role": "user", "content": "Does a chat end well?"}, {"role": "assistant", "content": "It does."}], "kept"),
    ([{"from": "human", "value": "Is ShareGPT read too?"}, {"from": "gpt", "value": "Read as well."}], "kept"),
    ([{"role": "doctor", "content": "Hello?"}, {"role": "assistant", "content": "Hello."}], "not_in_layout"),
    ([{"role": "user", "content": "Is anybody there?"}], "not_in_layout"),
    ([{"role": "user", "content": ["parts"]}, {"role": "assistant", "content": "Hello."}], "not_in_layout"),
    ([], "not_in_layout"),
    ("no list", "not_in_layout"),
    ({"role": "user"}, "not_in_layout"),
    (None, "not_in_layout"),
]
OPTIONS = {"A": "rest", "B": "ice"}
EXAMS: list[tuple[dict[str, Any], str]] = [
    ({"question": "Which of these is cold?", "options": OPTIONS, "answer_idx": "B"}, "kept"),
    ({"question": "Which is best?", "options": OPTIONS}, "no_answer"),
    ({"question": "Which is best?", "options": OPTIONS, "answer_idx": "C"}, "answer_not_among_options"),
    ({"question": "Which is best?", "options": OPTIONS, "answer_idx": "A", "answer": "ice"}, "conflicting_answers"),
    ({"question": "Which is best?", "options": {"A": "rest"}, "answer_idx": "A"}, "no_options"),
    ({"question": "Which is best?", "answer_idx": "A"}, "missing_options"),
    ({"question": "How many thumbs has one hand?", "options": ["1", "0"], "answer": 0}, "kept"),
    ({"question": "Which is warm?", "options": ["rest", "a bath"], "answer_idx": -1}, "no_answer"),
]
ARTICLES = (
    '{"1": {"QUESTION": "Do trials end?", "CONTEXTS": ["They end."], "LONG_ANSWER": "Trials end.", '
    '"final_decision": "yes"}, '
    '"2": {"QUESTION": "Do they begin?", "LONG_ANSWER": "They begin.", "final_decision": "perhaps"}, '
    '"1": {"QUESTION": "Do they repeat?", "LONG_ANSWER": "They repeat.", "final_decision": "no"}, "3": null, '
    '"\\ud83d": {"QUESTION": "Is half a pair a key?", "LONG_ANSWER": "It is not.", "final_decision": "no"}}'
)
ARTICLE_OUTCOMES = ["kept", "unknown_decision", "repeated_key", "not_an_object", "kept"]
