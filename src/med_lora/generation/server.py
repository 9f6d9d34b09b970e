"""What a model behind an OpenAI-compatible server answers to prompts that it must read token for token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from med_lora.errors import InputError
from med_lora.llm.answers import Completion, Failure, Request
from med_lora.llm.client import ChatClient
from med_lora.parameters.evaluation import DecodingParams
from med_lora.parameters.llm import EndpointParams, SamplingParams

HIGHEST_TEMPERATURE = 2.0  # of OpenAI's protocol


@dataclass(frozen=True)
class Server:
    """What a server says of itself.

    Attributes:
        is_vllm: whether it is vLLM, which takes token ids and every setting of the decoding.
        version: None where it does not tell.
    """

    is_vllm: bool
    version: str | None

    @property
    def name(self) -> str:
        """For the record and the cache's key; empty where nothing is known."""
        words = ["vllm"] if self.is_vllm else ["server"] if self.version else []
        return " ".join([*words, self.version or ""]).strip()


def identify_server(client: ChatClient) -> Server:
    """What stands in the server's list of models and at its ``/version``; neither need exist.

    Raises:
        InputError: if the server does not answer, or there is a version, as vLLM gives one, without such a list.
    """
    models = client.look_up("models")
    cards = models.get("data") if isinstance(models, dict) else None
    owners = [card.get("owned_by") for card in cards if isinstance(card, dict)] if isinstance(cards, list) else []
    parts = urlsplit(client.origin)
    answer = client.look_up(f"{parts.scheme}://{parts.netloc}/version")
    version = answer.get("version") if isinstance(answer, dict) else None
    version = version if isinstance(version, str) else None
    if models is None and version is not None:
        raise InputError(
            f"The server at {client.origin} gives its version and no list of models, so that it may be vLLM or not; "
            f"check the key, and run again when {client.origin}/models answers."
        )
    return Server("vllm" in owners, version)


class ServedModel:
    """An ``Answerer`` of plain prompts, once ``connect`` has looked up what the server is.

    To vLLM a prompt goes as token ids. Other servers get its text, and only if this model's tokenizer makes exactly
    the expected tokens of it, special tokens included, as the server will: so BOS is never doubled. Either way the
    server must say that it has read as many tokens as were meant.
    """

    def __init__(
        self,
        endpoint: EndpointParams,
        decoding: DecodingParams,
        tokenizer: Any,
        *,
        ends: Sequence[int],
        identity: str,
    ) -> None:
        """Name the model; nothing is sent yet.

        Args:
            endpoint: the server.
            decoding: how the next token is chosen.
            tokenizer: of the model that is served.
            ends: tokens that end an answer, besides those that the model declares.
            identity: whatever else tells this model from another one of its name; it enters the cache's key.

        Raises:
            InputError: if no server can do what ``decoding`` asks, or the key is missing.
        """
        _check_decoding(decoding)
        self.model = endpoint.model
        self.settings: dict[str, float | int | str] = {
            **{key: str(value) if value is None else value for key, value in decoding.model_dump().items()},
            "identity": identity,
            "ends": ",".join(map(str, ends)),
        }
        self.origin = endpoint.base_url
        self.concurrency = endpoint.concurrency
        self._endpoint = endpoint
        self._decoding = decoding
        self._tokenizer = tokenizer
        self._ends = list(ends)
        self._server = Server(is_vllm=False, version=None)
        self._client = self._make_client()

    def connect(self) -> None:
        """Look up what answers at the address; its name and version enter ``settings``, and so the cache's key.

        Raises:
            InputError: if it does not say what it is, or is not known to do what the decoding asks.
        """
        self._server = identify_server(self._client)
        if not self._server.is_vllm:
            _check_greedy(self._decoding, self.origin)
        self.settings = {**self.settings, "server": self._server.name}
        self._client.close()
        self._client = self._make_client()

    @property
    def engine(self) -> str:
        """The model's name and, where the server tells, the server's and its version."""
        name = self._server.name
        return f"openai {self.model}" + (f" ({name})" if name else "")

    def answer(self, request: Request) -> Completion | Failure:
        """Ask once; the prompt's text and tokens are those of ``request``.

        Raises:
            InputError: if the server would read, or has read, other tokens, or would fail every further call too.
        """
        if not self._server.is_vllm:
            self._check_text(request)
        result = self._client.answer(request)
        if isinstance(result, Completion) and result.prompt_tokens != len(request.tokens):
            raise InputError(
                f"The server at {self.origin} has read a prompt as {result.prompt_tokens} tokens, where the model was "
                f"trained on {len(request.tokens)} (0 means that it does not tell); serve the model of model.id with "
                "its own tokenizer and no prompt of the server's own, or set evaluation.engine to transformers."
            )
        return result

    def close(self) -> None:
        """End the calls under way."""
        self._client.close()

    def _make_client(self) -> ChatClient:
        given = self._decoding
        sampling = SamplingParams(temperature=given.temperature, seed=given.seed, max_tokens=given.max_new_tokens)
        # whatever a request leaves open, a server fills from the model's generation_config.json
        extra: dict[str, Any] = {"top_p": given.top_p, "frequency_penalty": 0.0}
        if self._server.is_vllm:
            extra |= {
                "top_k": -1 if given.top_k is None else given.top_k,
                "min_p": 0.0,
                "presence_penalty": 0.0,
                "repetition_penalty": 1.0,
                "stop_token_ids": self._ends,
            }
        return ChatClient(self._endpoint, sampling, extra=extra, sends_tokens=self._server.is_vllm)

    def _check_text(self, request: Request) -> None:
        ids = self._tokenizer(request.messages[0]["content"], verbose=False)["input_ids"]
        if tuple(ids) != request.tokens:
            raise InputError(
                f"A test question cannot be sent to {self.origin} as text, since it would be read as other tokens than "
                "those of training (it spells a special token, does not fit the context, or the tokenizer closes every "
                "text); serve the model with vLLM, which takes tokens, or set evaluation.engine to transformers."
            )


def _check_decoding(decoding: DecodingParams) -> None:
    """Raise an InputError for what no server does as this process does it."""
    if decoding.repetition_penalty != 1.0:
        raise InputError(
            "evaluation.decoding.repetition_penalty counts the answer's tokens alone, and servers count those of the "
            "prompt too; set it to 1.0, or evaluation.engine to transformers."
        )
    if decoding.temperature > HIGHEST_TEMPERATURE:
        raise InputError(
            f"evaluation.decoding.temperature ({decoding.temperature}) is above {HIGHEST_TEMPERATURE}, the highest of "
            "OpenAI's protocol; lower it, or set evaluation.engine to transformers."
        )


def _check_greedy(decoding: DecodingParams, origin: str) -> None:
    if decoding.temperature > 0:
        raise InputError(
            f"evaluation.decoding.temperature is {decoding.temperature}, and the server at {origin} is not known to "
            "sample as asked (top_k, and a seed for each answer); set it to 0.0, serve the model with vLLM, or set "
            "evaluation.engine to transformers."
        )
