"""A judge that stops when it has cost what it may: the forecast before it is an estimate."""

from __future__ import annotations

import threading

from med_lora.errors import InputError
from med_lora.llm.answers import Answerer, Completion, Failure, Request
from med_lora.parameters import JudgeParams
from med_lora.pipelines.judge.plan import price_tokens


class BudgetedJudge:
    """An ``Answerer`` that asks another one, until its tokens have cost more than ``judge.max_cost`` in this run.

    Calls under way then still end, and whatever came is kept; a server that does not count its tokens is not bounded.
    """

    def __init__(self, answerer: Answerer, judge: JudgeParams) -> None:
        self.model, self.settings = answerer.model, answerer.settings
        self.origin, self.concurrency = answerer.origin, answerer.concurrency
        self._answerer = answerer
        self._judge = judge
        self._tokens = [0, 0]  # read, written
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Completion | Failure:
        """Ask once.

        Raises:
            InputError: if the calls before have cost more than they may, or as the other one does.
        """
        self._check()
        outcome = self._answerer.answer(request)
        if isinstance(outcome, Completion):
            with self._lock:
                self._tokens[0] += outcome.prompt_tokens
                self._tokens[1] += outcome.completion_tokens
        return outcome

    def close(self) -> None:
        """End the calls under way."""
        self._answerer.close()

    def _check(self) -> None:
        price, most = self._judge.price, self._judge.max_cost
        if price is None or most is None:
            return
        with self._lock:
            spent = price_tokens(price, *self._tokens)
        if spent > most:
            raise InputError(
                f"The judge's calls have cost {spent:.2f} {price.currency} in this run, more than judge.max_cost "
                f"({most:.2f}); their answers are kept, so raise judge.max_cost and run again, or lower judge.items."
            )
