"""An asker without a model, whose arms answer what a test gives them."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping

from med_lora.ask.arms import Reply, Sources
from med_lora.errors import InputError
from med_lora.retrieval.context import ShownPassage

PASSAGES = [
    ShownPassage(1, "book:3", "Gout hurts.", "A Book, Joints, p. 3", 9, cut=False),
    ShownPassage(2, "training:a", "Rest", "", 4, cut=True),
]


class GivenAnswers:
    """Answers a word at a time; asking for ``faulty`` raises a sentence, for ``broken`` a bug.

    Attributes:
        asked: questions so far.
        closed: set while no question is asked: when one is over, however it ended.
        step: what each word waits for.
    """

    experiment = "an <b>experiment</b>"

    def __init__(self, answers: Mapping[str, str], passages: list[ShownPassage] | None = None) -> None:
        self.arms = tuple(answers)
        self._answers = answers
        self._passages = PASSAGES if passages is None else passages
        self.asked: list[str] = []
        self.words = 0
        self.closed = threading.Event()
        self.closed.set()
        self.step = threading.Semaphore(1_000_000)

    def ask(self, question: str) -> Generator[Sources | Reply, None, None]:
        self.asked.append(question)
        self.closed.clear()
        try:
            if question == "faulty":
                raise InputError("The model's logits are not finite; train again.")
            if question == "broken":
                raise RuntimeError(f"a secret: {question}")
            if any(arm.endswith("_rag") for arm in self.arms):
                yield Sources(self._passages)
            for arm, text in self._answers.items():
                yield Reply(arm, "", 0, "", 0)
                words = text.split(" ")
                for number in range(1, len(words) + 1):
                    self.step.acquire()
                    self.words += 1
                    yield Reply(arm, " ".join(words[:number]), number, "", 0)
                reason = "length" if arm == "base" else "eos"
                basis = f"Rests: {self._passages[0].citation}" if arm.endswith("_rag") and self._passages else ""
                yield Reply(arm, text, len(words), reason, 3 if arm == "tuned" else 0, basis)
        finally:
            self.closed.set()


FOUR = {
    "base": "It [red]hurts[/red].",
    "tuned": "See a doctor.",
    "base_rag": "Rest [1] and ice.",
    "tuned_rag": "Rest.",
}
