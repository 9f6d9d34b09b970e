"""Response times, drawn."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from med_lora.pipelines.latency.figures import draw_latency
from med_lora.pipelines.latency.nodes import COLUMNS

MACHINE = {"device": "2 x <i>Fast</i> CPU", "dtype": "float32", "threads": 2, "engine": "transformers 5", "note": ""}


def make_latency() -> pd.DataFrame:
    shared = {"n": 20, "prompt_tokens": 31.0, "new_tokens": 64, "peak_memory_mib": 400.0, **MACHINE}
    base = {"first_token_p50": 0.01, "first_token_p95": 0.02, "answer_p50": 0.5, "answer_p95": 0.75}
    tuned = {"first_token_p50": 0.02, "first_token_p95": math.nan, "answer_p50": 0.625, "answer_p95": 0.75}
    rows = [
        {"arm": "base", "tokens_per_second": 120.0, **base, **shared},
        {"arm": "tuned", "tokens_per_second": 100.0, **tuned, **shared},
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_bars_are_medians_and_whiskers_end_at_the_95th_percentile() -> None:
    figure = draw_latency(make_latency())
    base_first, tuned_first, base_answer, tuned_answer = figure.data
    assert [bar.x[0] for bar in figure.data] == [0.01, 0.02, 0.5, 0.625]
    assert base_answer.error_x.array[0] == pytest.approx(0.25)
    assert base_answer.error_x.arrayminus[0] == 0
    assert tuned_first.error_x.visible is False
    assert (base_first.xaxis, tuned_answer.xaxis) == ("x", "x2")
    assert figure.layout.xaxis2.title.text == "seconds to the last token"


def test_the_machine_and_n_stand_in_the_subtitle_as_text() -> None:
    subtitle = draw_latency(make_latency()).layout.title.subtitle.text.replace("<br>", " ")
    assert subtitle.startswith("n = 20 answers an arm, one at a time, of 64 tokens; ")
    assert subtitle.endswith("; 2 x &lt;i&gt;Fast&lt;/i&gt; CPU, float32, 2 threads")


def test_arms_without_a_time_are_left_out() -> None:
    table = make_latency()
    assert len(draw_latency(table.assign(answer_p50=[0.5, math.nan])).data) == 2
    nothing = draw_latency(table.assign(answer_p50=math.nan))
    assert nothing.layout.meta["caption"] == "No answer was timed."
