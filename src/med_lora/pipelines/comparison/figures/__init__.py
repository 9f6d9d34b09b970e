"""The figures of many runs: what they reach, how long they take, and what their settings change."""

from med_lora.pipelines.comparison.figures.courses import draw_epoch_courses, draw_loss_courses
from med_lora.pipelines.comparison.figures.leaderboard import draw_leaderboard
from med_lora.pipelines.comparison.figures.sweeps import draw_setting_curves
from med_lora.pipelines.comparison.figures.times import draw_answer_times, draw_training_times

__all__ = [
    "draw_answer_times",
    "draw_epoch_courses",
    "draw_leaderboard",
    "draw_loss_courses",
    "draw_setting_curves",
    "draw_training_times",
]
