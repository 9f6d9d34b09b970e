"""Which family a model is of, and the shape of a small model of each."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from med_lora.errors import InputError

# By the name of a model on the hub; the first that is found.
_NAMES = (
    (r"gpt-?2", "gpt2"),
    (r"llama-?3\.[123]", "llama31"),
    (r"llama-?3", "llama3"),
    (r"llama-?2", "llama2"),
    (r"mistral", "mistral"),
    (r"gemma(?!-?(?:[234](?!b)|3?n))", "gemma"),  # a 2b is of the first
    (r"qwen-?3(?!\.)", "qwen3"),
)
_CHAT = re.compile(r"(?:^|[-_])(?:chat|instruct|it)(?:[-_.]|$)")
_LARGEST_OWN = 64 * 2**20  # bytes of weights; up to 16 million parameters in fp32 train in minutes on a CPU
_WIDTH: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4}


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes:
        name: key of ``tokenizers.TOKENIZERS``.
        is_chat: whether the model was tuned to converse, so that its tokenizer has a chat template.
    """

    name: str
    is_chat: bool


def is_own_stand_in(model_id: str) -> bool:
    """Whether a model is a local folder, small enough to be rehearsed with itself."""
    weights = list(Path(model_id).expanduser().glob("*.safetensors"))
    return bool(weights) and sum(file.stat().st_size for file in weights) <= _LARGEST_OWN


def find_family(model_id: str) -> Family:
    """The family by the configuration of a local folder, else by the name.

    Raises:
        InputError: if no family is made here for it.
    """
    folder = Path(model_id).expanduser()
    if (folder / "config.json").is_file() and (name := _of_config(_read_json(folder / "config.json"))):
        return Family(name, _has_chat_template(folder))
    base = folder.name.lower()
    for pattern, name in _NAMES:
        if re.search(pattern, base):
            return Family(name, name == "qwen3" or _CHAT.search(base) is not None)
    known = ", ".join(sorted({name for _, name in _NAMES}))
    raise InputError(
        f"No stand-in is made here for model.id {model_id!r}: its family is none of {known}; rehearse with "
        "model.id set to a model of one of these in a copy of the experiment's file."
    )


def make_config(name: str, tokenizer: Any) -> Any:
    """Configuration of a model of some 0.4 million weights with the family's traits.

    Widths and layers are small; positions, sharing of key-value heads, tied embeddings, width of heads, sliding window
    and scaling of positions are the family's.
    """
    from transformers import GemmaConfig, GPT2Config, LlamaConfig, MistralConfig, Qwen3Config

    tokens: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    if tokenizer.pad_token_id is not None:
        tokens["pad_token_id"] = tokenizer.pad_token_id
    untied = {**_WIDTH, **tokens, "tie_word_embeddings": False}
    # Llama-2-7B and 13B, Llama-3(.1)-8B, Mistral-7B-v0.1, Gemma-1.1-7B, Qwen3-1.7B, GPT-2 as they are published
    if name == "gpt2":
        return GPT2Config(**tokens, n_positions=1024, n_embd=64, n_layer=2, n_head=4)
    if name == "llama2":
        return LlamaConfig(**untied, num_key_value_heads=4, max_position_embeddings=4096, rms_norm_eps=1e-5)
    if name in ("llama3", "llama31"):
        rope: dict[str, Any] = {"rope_type": "default", "rope_theta": 500_000.0}
        if name == "llama31":
            scaled = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
            rope |= {**scaled, "rope_type": "llama3", "original_max_position_embeddings": 8192}
        positions = 131_072 if name == "llama31" else 8192
        return LlamaConfig(
            **untied,
            num_key_value_heads=2,
            max_position_embeddings=positions,
            rms_norm_eps=1e-5,
            rope_parameters=rope,
        )
    if name == "mistral":
        return MistralConfig(**untied, num_key_value_heads=2, max_position_embeddings=32_768, sliding_window=4096)
    if name == "gemma":
        return GemmaConfig(
            **_WIDTH,
            **tokens,
            num_key_value_heads=4,
            head_dim=32,
            max_position_embeddings=8192,
            tie_word_embeddings=True,
        )
    return Qwen3Config(
        **_WIDTH, **tokens, num_key_value_heads=2, head_dim=32, max_position_embeddings=40_960, tie_word_embeddings=True
    )


def _has_chat_template(folder: Path) -> bool:
    """In a file of its own, or where older versions of transformers save it."""
    settings = folder / "tokenizer_config.json"
    saved = settings.is_file() and bool(_read_json(settings).get("chat_template"))
    return saved or (folder / "chat_template.jinja").is_file()


def _read_json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def _of_config(config: dict[str, Any]) -> str | None:
    kind = config.get("model_type")
    if kind == "llama":
        scaling = config.get("rope_scaling") or config.get("rope_parameters") or {}
        if scaling.get("rope_type") == "llama3":
            return "llama31"
        return "llama3" if config.get("vocab_size", 0) >= 128_000 else "llama2"
    return kind if kind in ("gpt2", "mistral", "gemma", "qwen3") else None
