"""The figures of the report, in one style: training, losses, scores beside controls, their spread, and what it costs.

Every figure carries its finding in words under ``layout.meta["caption"]``.
"""

from med_lora.pipelines.reporting.figures.distributions import draw_distributions
from med_lora.pipelines.reporting.figures.forgetting import draw_forgetting
from med_lora.pipelines.reporting.figures.lengths import draw_length_against_score
from med_lora.pipelines.reporting.figures.scores import draw_perplexity, draw_scores
from med_lora.pipelines.reporting.figures.training import draw_epoch_scores, draw_learning_rate, draw_loss_curve

__all__ = [
    "draw_distributions",
    "draw_epoch_scores",
    "draw_forgetting",
    "draw_learning_rate",
    "draw_length_against_score",
    "draw_loss_curve",
    "draw_perplexity",
    "draw_scores",
]
