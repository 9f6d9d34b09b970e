"""What a passage is to all who make, index or read passages."""

from __future__ import annotations

PASSAGE_COLUMNS = ["id", "corpus", "book", "chapter", "page", "licence", "text"]
TRAINING = "training:"  # before the pair's id, the id of a passage that is a training answer
