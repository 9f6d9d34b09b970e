"""A question to the arms, one after the other, each answer while it is written."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from med_lora.arms import RAG_ARMS, model_of
from med_lora.ask.models import AskedModel, open_models
from med_lora.ask.passages import PassageFinder, open_passages
from med_lora.errors import InputError
from med_lora.generation.room import prompt_room
from med_lora.generation.stream import decode_answer, decode_part, stream
from med_lora.metrics.grounding import attribute
from med_lora.parameters import PromptParams
from med_lora.parameters.evaluation import DecodingParams
from med_lora.pipelines.evaluation.answers.generation import MAX_NEW_TOKENS
from med_lora.project import Project
from med_lora.prompts import PairTokeniser, context_length, end_tokens
from med_lora.retrieval.context import Grounded, ShownPassage, prompt_counter

MAX_QUESTION = 4000  # characters


@dataclass(frozen=True)
class Sources:
    """The passages that the arms with retrieval are given with the question; none where none fits."""

    passages: list[ShownPassage]


@dataclass(frozen=True)
class Reply:
    """An arm's answer so far.

    Attributes:
        arm: whose.
        text: whole words and characters; at the end what evaluation would have written down.
        new_tokens: written so far, the one that ended the answer included.
        finish_reason: "" while it is written, then "eos", or "length" if it was cut.
        prompt_cut: tokens that the prompt lost at its beginning to fit the model's context.
        basis: at the end of an answer to passages, a sentence on which of them it rests on by its words; else "".
    """

    arm: str
    text: str
    new_tokens: int
    finish_reason: Literal["", "eos", "length"]
    prompt_cut: int
    basis: str = ""


class Asker:
    """The arms of an experiment. In fp32 they answer a test question as the evaluation had them answer it.

    In 16 bits an answer depends on the batch it is computed in, and here a question is alone.

    Attributes:
        arms: names, in the order in which they answer.
        experiment: its name.
    """

    def __init__(
        self,
        experiment: str,
        arms: Sequence[str],
        models: Mapping[str, AskedModel],
        finder: PassageFinder | None,
        prompt: PromptParams,
        decoding: DecodingParams,
    ) -> None:
        """Take what the arms need; ``models`` by base and tuned, ``finder`` only for those with retrieval."""
        self.experiment = experiment
        self.arms = tuple(arms)
        self._models = models
        self._finder = finder
        self._prompt = prompt
        self._decoding = decoding

    def load(self) -> None:
        """Read the weights now, so that what is wrong with them is known before the first question.

        Raises:
            InputError: if a model cannot be loaded on this machine.
        """
        for model in self._models.values():
            with model.session.arm(model.adapter):
                pass

    def ask(self, question: str) -> Generator[Sources | Reply, None, None]:
        """The passages, where an arm is given any, then the answers of the arms as they grow.

        Each arm begins with an empty reply, and ends with one that has a finish reason. Whoever stops reading, and
        closes the iterator, stops the model.

        Raises:
            InputError: if the question cannot be asked, or an answer cannot be computed.
        """
        bare = grounded = Grounded(check_question(question), [])
        if self._finder is not None:
            grounded = self._ground(bare.question, self._finder)
            yield Sources(grounded.passages)
        for arm in self.arms:
            yield from self._answer(arm, bare.question, grounded if arm in RAG_ARMS else bare)

    def _ground(self, question: str, finder: PassageFinder) -> Grounded:
        """The passages of every arm are fitted to one model, as in the evaluation: tuning changes no context."""
        model = next(iter(self._models.values()))
        tokeniser = PairTokeniser(self._prompt, model.session.tokenizer())
        with model.session.arm(model.adapter) as loaded:
            room = prompt_room(context_length(loaded), self._decoding.max_new_tokens, MAX_NEW_TOKENS)
        return finder.ground(question, prompt_counter(tokeniser), room)

    def _answer(self, arm: str, question: str, grounded: Grounded) -> Iterator[Reply]:
        asked = self._models[model_of(arm)]
        tokenizer = asked.session.tokenizer()
        tokeniser = PairTokeniser(self._prompt, tokenizer)
        with asked.session.arm(asked.adapter) as model:
            room = prompt_room(context_length(model), self._decoding.max_new_tokens, MAX_NEW_TOKENS)
            ((ids, cut),) = tokeniser.prompts([grounded.question], room)
            yield Reply(arm, "", 0, "", cut)
            ends = end_tokens(model, tokenizer, tokeniser.end_id)
            tokens: list[int] = []
            for token in stream(model, ids, ends, tokenizer.pad_token_id, self._decoding):
                tokens.append(token)
                yield Reply(arm, decode_part(tokenizer, tokens), len(tokens), "", cut)
        ended = len(tokens) < self._decoding.max_new_tokens
        text, basis = decode_answer(tokenizer, tokens), ""
        if grounded.passages:
            basis = describe_basis(question, text, grounded.passages)
        yield Reply(arm, text, len(tokens) + ended, "eos" if ended else "length", cut, basis)


def describe_basis(question: str, answer: str, passages: Sequence[ShownPassage]) -> str:
    """Which passages hold most of the words of a sentence of the answer, with book, chapter and page.

    The question's words aside: passages are found by them. Words in common do not prove that a passage says what the
    answer says.
    """
    places = {found.place for found in attribute(question, answer, passages)}
    named = [f"[{shown.place}] {shown.citation or shown.passage}" for shown in passages if shown.place in places]
    if not named:
        return "No sentence rests on a passage by its words."
    return f"By its words it rests on: {'; '.join(named)}"


def check_question(question: str) -> str:
    """The question without space around it.

    Raises:
        InputError: if it is empty, longer than ``MAX_QUESTION``, or no text.
    """
    question = question.strip()
    if not question:
        raise InputError("The question is empty; write one.")
    if len(question) > MAX_QUESTION:
        raise InputError(f"The question has {len(question)} characters; ask it in at most {MAX_QUESTION}.")
    try:
        question.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError("The question holds characters that are no text; write it in UTF-8.") from error
    return question


def open_asker(project: Project, arms: Sequence[str], say: Callable[[str], None]) -> Asker:
    """The arms, with their models loaded and their passages indexed; ``say`` is told what takes time.

    Raises:
        InputError: if something that an arm needs is missing, or belongs to another run.
    """
    given = project.parameters
    models = open_models(project, {model_of(arm) for arm in arms})
    finder = open_passages(project, say) if any(arm in RAG_ARMS for arm in arms) else None
    asker = Asker(given.experiment, arms, models, finder, given.prompt, given.evaluation.decoding)
    asker.load()
    return asker
