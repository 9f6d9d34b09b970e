"""Answers and references with the scores that the reference implementations gave them.

rouge_score 0.1.2, sacrebleu 2.6.0 and nltk 3.10.4 (``single_meteor_score`` on the tokens of ``NLTKWordTokenizer``, with
Debian's WordNet 3.0 and without synonyms), each called directly; exact match and F1 from SQuAD's evaluate-v2.0.py.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Scored(NamedTuple):
    answer: str
    reference: str
    rouge1: float
    rouge2: float
    rouge_l: float
    rouge_l_weighted: float  # beta 1.2
    bleu: float
    chrf: float
    exact_match: float
    token_f1: float
    meteor: float
    meteor_exact_stem: float


SCORED = [
    # by hand: unigrams 3/3 and 3/6, bigrams 2/2 and 2/5, brevity exp(1 - 6/3), F1 of {cat sat} and {cat sat on mat}
    Scored(
        "the cat sat",
        "the cat sat on the mat",
        *(2 / 3, 4 / 7, 2 / 3, 0.6288659793814433, 100 * math.exp(-1), 49.59348409966008, 0, 2 / 3),
        *(0.44834307992202727, 0.44834307992202727),
    ),
    # by hand: 9 of 13 and 13 unigrams, 5 of 12 and 12 bigrams, 8 of 11 and 11 words without articles
    Scored(
        "Gout is a painful arthritis; rest the joint and drink plenty of water.",
        "Gout is an inflammatory arthritis. Rest the joint, take colchicine, and drink water.",
        *(9 / 13, 5 / 12, 9 / 13, 9 / 13, 9.474607424664809, 46.54444381232415, 0, 8 / 11),
        *(0.5411910862644614, 0.5411910862644614),
    ),
    Scored(
        "No.",
        "Yes, see a doctor today.",
        *(0, 0, 0, 0, 4.104249931194939, 4.016064257028113, 0, 0),
        *(0.07692307692307691, 0.07692307692307691),  # the full stop
    ),
    # by hand: swollen and helps of 4 and 7 words; inflections count for METEOR alone
    Scored(
        "Resting swollen joints helps.",
        "Rest a swollen joint and it helps.",
        *(4 / 11, 0, 4 / 11, 0.346590909090909, 12.975849993980741, 58.583890585163886, 0, 2 / 5),
        *(0.5792207792207792, 0.5792207792207792),
    ),
    Scored("", "Rest and drink water.", *(0,) * 10),
    Scored(
        "Take 1,000 mg paracetamol - not ibuprofen!",
        "take 1000 mg paracetamol, not ibuprofen",
        *(10 / 13, 6 / 11, 10 / 13, 0.7800511508951408, 15.619699684601276, 77.21110968679726, 1, 1),
        *(0.6281690140845071, 0.6281690140845071),
    ),
    Scored(
        "Call your physician if the ache returns.",
        "Call your physician if the ache returns.",
        *(1, 1, 1, 1, 100, 100, 1, 1),
        *(0.9990234375, 0.9990234375),
    ),
    Scored(
        "Call a doctor at once if the pain returns.",
        "Phone your physician immediately if the ache comes back.",
        *(2 / 9, 1 / 8, 2 / 9, 2 / 9, 9.287528999566801, 14.947267477368714, 0, 2 / 15),
        *(0.372, 0.25555555555555554),
    ),
    Scored(
        "Naïve T‑cells attack the β‑cells – insulin falls to 5 µg.",
        "Naive T-cells attack β‑cells, so insulin falls below 5 µg.",
        *(16 / 23, 8 / 21, 16 / 23, 0.7011494252873562, 17.242221289766636, 55.77299111114996, 0, 3 / 5),
        *(0.5289115646258503, 0.5289115646258503),
    ),
    Scored("?!…", "Wash the wound with clean water.", *(0,) * 10),
]
