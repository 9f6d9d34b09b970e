"""Two short passages of a made-up book, and the parameters."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from med_lora.parameters.question_generation import QuestionGenerationParams

TEXTS = (
    "Gout is an arthritis caused by crystals of urate. Colchicine 0.5 mg is given two to four times a day until the "
    "pain has gone. The big toe is affected first in most patients.",
    "Asthma narrows the airways. A reliever is inhaled when breath is short; a preventer is inhaled every day.",
)


@pytest.fixture
def passages() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ["textbooks:joints/gout#1", "textbooks:lungs/asthma#1"],
            "corpus": ["textbooks", "textbooks"],
            "book": ["joints", "lungs"],
            "chapter": ["gout", "asthma"],
            "page": [3, 0],
            "licence": ["CC-BY-4.0", "CC0-1.0"],
            "text": list(TEXTS),
        }
    )


def parameters(**changes: Any) -> QuestionGenerationParams:
    values: dict[str, Any] = {
        "endpoint": None,
        "sampling": {"temperature": 0.0, "seed": 1, "max_tokens": 64},
        "answers": ["short"],
        "pairs_per_passage": 2,
        "max_passages": None,
        "min_evidence_words": 4,
    }
    return QuestionGenerationParams.model_validate(values | changes)
