"""Many calls: from the cache where it has them, else a few at a time, always in the order asked."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

from med_lora.llm.answers import Answerer, Completion, Failure, Request, usable
from med_lora.llm.cache import CallCache, call_key

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answers:
    """Outcomes of many requests.

    Attributes:
        outcomes: a usable completion or the reason why there is none, one a request, in the order of the requests.
        cached: calls that the cache answered.
        asked: calls made in this run.
        failed: count of the requests without an answer, by kind.
        prompt_tokens: tokens read over all distinct calls, cached ones too.
        completion_tokens: tokens written over all distinct calls.
        paid_prompt_tokens: tokens read in this run.
        paid_completion_tokens: tokens written in this run.
    """

    outcomes: list[Completion | Failure]
    cached: int
    asked: int
    failed: dict[str, int] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    paid_prompt_tokens: int = 0
    paid_completion_tokens: int = 0

    @property
    def paid_tokens(self) -> int:
        """Tokens read and written in this run."""
        return self.paid_prompt_tokens + self.paid_completion_tokens


def answer_all(
    answerer: Answerer,
    requests: Sequence[Request],
    cache: CallCache,
    unit: str = "call",
    check: Callable[[Completion, str], Completion | Failure] = usable,
) -> Answers:
    """Outcomes of ``requests``; equal requests are asked once.

    Every completion is in the cache before its call counts as done, so an interruption loses at most the calls that
    are under way.

    Args:
        answerer: the model.
        requests: what it is asked.
        cache: calls made before; it grows while this runs.
        unit: what the progress bar counts.
        check: takes a completion and the model's name; tells whether it may be used.

    Raises:
        InputError: for a fault that every call would meet (no server, no right, damaged or locked cache).
    """
    keys = [call_key(answerer, request) for request in requests]
    distinct = dict(zip(keys, requests, strict=True))
    with cache.opened():
        open_calls = {key: request for key, request in distinct.items() if cache.get(key) is None}
        results: dict[str, Completion | Failure] = {}
        for key in distinct:
            completion = cache.get(key)
            if completion is not None:
                results[key] = completion
        if open_calls:
            results |= _ask(answerer, open_calls, cache, unit)
    outcomes = [
        result if isinstance(result, Failure) else check(result, answerer.model)
        for result in (results[key] for key in keys)
    ]
    answers = _summarise(outcomes, results, open_calls.keys())
    logger.info(
        "%s: %d calls from the cache, %d made, %d unanswered; %d tokens read, %d written (%d of both in this run).",
        answerer.origin,
        answers.cached,
        answers.asked,
        sum(answers.failed.values()),
        answers.prompt_tokens,
        answers.completion_tokens,
        answers.paid_tokens,
    )
    return answers


def _ask(
    answerer: Answerer, requests: dict[str, Request], cache: CallCache, unit: str
) -> dict[str, Completion | Failure]:
    from tqdm import tqdm

    stopped = threading.Event()

    def ask(key: str, request: Request) -> Completion | Failure:
        if stopped.is_set():
            return Failure("hang_up")  # nobody reads it: the call that stopped this one raises
        try:
            result = answerer.answer(request)
            if isinstance(result, Completion):
                cache.append(key, answerer.origin, result)
        except BaseException:
            stopped.set()  # before this thread takes up the next call
            raise
        return result

    results: dict[str, Completion | Failure] = {}
    tokens, started = 0, time.perf_counter()
    pool = ThreadPoolExecutor(answerer.concurrency, thread_name_prefix="call")
    futures: dict[Future[Completion | Failure], str] = {
        pool.submit(ask, key, request): key for key, request in requests.items()
    }
    try:
        with tqdm(total=len(futures), desc="calls", unit=unit, disable=None) as bar:
            for future in as_completed(futures):
                result = results[futures[future]] = future.result()
                tokens += result.completion_tokens if isinstance(result, Completion) else 0
                bar.update()
                bar.set_postfix_str(f"{tokens / (time.perf_counter() - started):.0f} tokens/s")
    except BaseException:
        # Interrupted, or every further call would fail: drop what waits, then end what runs.
        pool.shutdown(wait=False, cancel_futures=True)
        answerer.close()
        raise
    finally:
        pool.shutdown(wait=True)
    return results


def _summarise(outcomes: list[Completion | Failure], results: dict[str, Completion | Failure], asked: Any) -> Answers:
    failed = Counter(outcome.kind for outcome in outcomes if isinstance(outcome, Failure))
    completions = [result for result in results.values() if isinstance(result, Completion)]
    paid = [result for result in (results[key] for key in asked) if isinstance(result, Completion)]
    return Answers(
        outcomes=outcomes,
        cached=len(results) - len(asked),
        asked=len(asked),
        failed=dict(sorted(failed.items())),
        prompt_tokens=sum(completion.prompt_tokens for completion in completions),
        completion_tokens=sum(completion.completion_tokens for completion in completions),
        paid_prompt_tokens=sum(completion.prompt_tokens for completion in paid),
        paid_completion_tokens=sum(completion.completion_tokens for completion in paid),
    )
