"""How far inserted secrets stand out from those that a model never saw."""

from __future__ import annotations

import math
import sys

import numpy as np
import numpy.typing as npt
import pandas as pd

from med_lora.arms import BARE_ARMS
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.models.session import ModelSession
from med_lora.parameters import PromptParams
from med_lora.pipelines.evaluation.losses.measure import check_finite, token_losses
from med_lora.prompts import PairTokeniser, context_length


def measure_exposure(
    session: ModelSession,
    canary_secrets: pd.DataFrame,
    prompt: PromptParams,
    adapter: PretrainedFolder | None = None,
) -> pd.DataFrame:
    """Exposure of every inserted secret: how far down the list of candidates one would have to search for it.

    Carlini et al. 2019 (arXiv:1802.08232), definition 5, with the controls as the sample of the other candidates
    (section 4.3)::

        exposure = log2(candidates) - log2(rank)

    The candidates of a secret are itself and all controls, and its rank is 1 for the smallest loss; equal losses share
    the mean of their ranks. It is log2(controls + 1) bits at most, and about 1.44 on average for a model that knows
    none of them.

    Args:
        session: the model.
        canary_secrets: columns canary, kind, question, answer.
        prompt: the prompt it was trained with.
        adapter: what it is asked with; None for the base model.

    Returns:
        Columns canary, kind ("inserted" or "control"), nll (nats of the answer, EOS included), rank, exposure (bits);
        the last two are NaN for controls.

    Raises:
        InputError: if a loss is not finite, or the adapter is of another base model.
    """
    with session.arm(adapter) as model:
        tokeniser = PairTokeniser(prompt, session.tokenizer())
        questions, answers = (canary_secrets[name].tolist() for name in ("question", "answer"))
        rows = tokeniser.pairs(questions, answers, context_length(model) or sys.maxsize)
        losses = token_losses(model, [row.input_ids for row in rows], session.hardware.inference_batch_size)
    # the first token has no loss, so that of the first answer token stands one place earlier
    nll = np.array([values[len(row.prompt_ids) - 1 :].sum() for row, values in zip(rows, losses, strict=True)])
    check_finite(pd.Series(nll), canary_secrets["canary"].tolist())
    return rank_secrets(canary_secrets, nll)


def rank_secrets(canary_secrets: pd.DataFrame, nll: npt.NDArray[np.float64]) -> pd.DataFrame:
    """The table of :func:`measure_exposure` from the losses of all candidates, in their order."""
    controls = np.sort(nll[(canary_secrets["kind"] == "control").to_numpy()])
    smaller, no_larger = (np.searchsorted(controls, nll, side=side) for side in ("left", "right"))
    rank = 1 + (smaller + no_larger) / 2
    ranked = {"rank": rank, "exposure": math.log2(len(controls) + 1) - np.log2(rank)}
    exposure = canary_secrets[["canary", "kind"]].assign(nll=nll, **ranked)
    exposure.loc[exposure["kind"] == "control", list(ranked)] = math.nan
    return exposure


def summarise_exposure(base_exposure: pd.DataFrame, tuned_exposure: pd.DataFrame) -> pd.DataFrame:
    """The audit of both arms in one table.

    The p-value is one-sided, of the rank-sum test (Mann and Whitney 1947) that losses of inserted secrets are no
    smaller than those of controls. Inserted ones were drawn at random from all candidates, so the samples are
    independent of each other, as the test asks.

    Returns:
        Columns arm, n (secrets inserted), controls, mean_exposure, max_exposure, most (the largest exposure there can
        be; bits all three), p_value.
    """
    from scipy.stats import mannwhitneyu

    rows = []
    for arm, exposure in zip(BARE_ARMS, (base_exposure, tuned_exposure), strict=True):
        inserted, controls = (exposure[exposure["kind"] == kind] for kind in ("inserted", "control"))
        rows.append(
            {
                "arm": arm,
                "n": len(inserted),
                "controls": len(controls),
                "mean_exposure": inserted["exposure"].mean(),
                "max_exposure": inserted["exposure"].max(),
                "most": math.log2(len(controls) + 1),
                "p_value": float(mannwhitneyu(inserted["nll"], controls["nll"], alternative="less").pvalue),
            }
        )
    return pd.DataFrame(rows)
