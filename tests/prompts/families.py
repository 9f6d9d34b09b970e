"""Small tokenizers that treat special tokens, spaces and BOS as each model family does, with its chat format.

The vocabularies are trained on two sentences, since the hub's may not be at hand; everything around them (normaliser,
pre-tokeniser, post-processor, special tokens, chat template) follows the family's published tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

TEXT = [
    "Question: What is gout? Answer: A painful arthritis of the toe. Instruction, Input and Output of a response",
    "Be brief. You are a medical professional. Below is an instruction that describes a task. Write a response.",
] * 3

LLAMA2_CHAT = """{%- if messages[0].role == 'system' -%}
{%- set system, turns = '<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n', messages[1:] -%}
{%- else -%}
{%- set system, turns = '', messages -%}
{%- endif -%}
{%- for turn in turns -%}
{%- if turn.role == 'user' -%}
{{ bos_token + '[INST] ' + (system if loop.first else '') + turn.content.strip() + ' [/INST]' }}
{%- else -%}
{{ ' ' + turn.content.strip() + ' ' + eos_token }}
{%- endif -%}
{%- endfor -%}"""

LLAMA3_CHAT = """{{- bos_token -}}
{%- for turn in messages -%}
{{ '<|start_header_id|>' + turn.role + '<|end_header_id|>\\n\\n' + turn.content.strip() + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif -%}"""

# 3.1 always has a system turn with two dates; later ones take today's date where the caller gives none
LLAMA31_CHAT = """{{- bos_token -}}
{%- if messages[0].role == 'system' -%}
{%- set system, turns = messages[0].content.strip(), messages[1:] -%}
{%- else -%}
{%- set system, turns = '', messages -%}
{%- endif -%}
{%- if not date_string is defined -%}{%- set date_string = strftime_now('%d %b %Y') -%}{%- endif -%}
{{ '<|start_header_id|>system<|end_header_id|>\\n\\nCutting Knowledge Date: December 2023\\nToday Date: ' }}
{{- date_string + '\\n\\n' + system + '<|eot_id|>' }}
{%- for turn in turns -%}
{{ '<|start_header_id|>' + turn.role + '<|end_header_id|>\\n\\n' + turn.content.strip() + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif -%}"""

MISTRAL_CHAT = """{{- bos_token -}}
{%- for turn in messages -%}
{%- if (turn.role == 'user') != (loop.index0 % 2 == 0) -%}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{%- endif -%}
{{ '[INST] ' + turn.content + ' [/INST]' if turn.role == 'user' else turn.content + eos_token }}
{%- endfor -%}"""

GEMMA_CHAT = """{{- bos_token -}}
{%- if messages[0].role == 'system' -%}{{ raise_exception('System role not supported') }}{%- endif -%}
{%- for turn in messages -%}
{%- set role = 'model' if turn.role == 'assistant' else turn.role -%}
{{ '<start_of_turn>' + role + '\\n' + turn.content.strip() + '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}"""


def _train(
    pre_tokenizer: Any, specials: list[str], alphabet: list[str]
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    from tokenizers import Tokenizer, models, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=specials, initial_alphabet=alphabet, show_progress=False, min_frequency=1
    )
    bpe.train_from_iterator(TEXT, trainer)
    model = json.loads(bpe.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def _train_sentencepiece(specials: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    from tokenizers import pre_tokenizers

    letters = sorted(
        {*"".join(TEXT).replace(" ", "▁"), *"abcdefghijklmnopqrstuvwxyz<>/[]|_#:!?ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"}
    )
    byte_tokens = [f"<0x{value:02X}>" for value in range(256)]
    return _train(pre_tokenizers.Metaspace(), [*specials, *byte_tokens], letters)


def _train_bytes(specials: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    from tokenizers import pre_tokenizers

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return _train(byte_level, specials, sorted(pre_tokenizers.ByteLevel.alphabet()))


def gpt2() -> Any:
    """GPT-2 and DistilGPT2 share their tokenizer: one special token, nothing in front of a text, no padding token."""
    from transformers import GPT2Tokenizer

    vocabulary, merges = _train_bytes(["<|endoftext|>"])
    return GPT2Tokenizer(vocab=vocabulary, merges=merges)


def llama2_chat() -> Any:
    from transformers import LlamaTokenizer

    vocabulary, merges = _train_sentencepiece(["<unk>", "<s>", "</s>"])
    return LlamaTokenizer(vocab=vocabulary, merges=merges, add_bos_token=True, chat_template=LLAMA2_CHAT)


def llama3() -> Any:
    return _llama3(LLAMA3_CHAT)


def llama31() -> Any:
    return _llama3(LLAMA31_CHAT)


def _llama3(chat_template: str) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = ["begin_of_text", "end_of_text", "start_header_id", "end_header_id", "eot_id"]
    specials = [f"<|{name}|>" for name in names]
    vocabulary, merges = _train_bytes(specials)
    bpe = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    words = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
        r"\s+(?!\S)|\s+"
    )
    split = pre_tokenizers.Split(Regex(words), behavior="isolated")
    bytes_of_words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_of_words])
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in specials])
    begin = specials[0]
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin} $B", special_tokens=[(begin, vocabulary[begin])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=begin, eos_token="<|eot_id|>", chat_template=chat_template
    )


def mistral_instruct() -> Any:
    """As in its tokenizer.json: the word mark in front of every run of text, not of the first alone."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    specials = ["<unk>", "<s>", "</s>"]
    vocabulary, merges = _train_sentencepiece(specials)
    bpe = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    bpe.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    bpe.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(content=" ", left=1)]
    )
    bpe.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in specials])
    bpe.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", vocabulary["<s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, unk_token="<unk>", bos_token="<s>", eos_token="</s>", chat_template=MISTRAL_CHAT
    )


def gemma() -> Any:
    from transformers import GemmaTokenizer

    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
    vocabulary, merges = _train_sentencepiece(specials)
    return GemmaTokenizer(
        vocab=vocabulary,
        merges=merges,
        add_bos_token=True,
        extra_special_tokens=specials[-2:],
        chat_template=GEMMA_CHAT,
    )


FAMILIES: dict[str, Callable[[], Any]] = {
    "gpt2": gpt2,
    "llama2": llama2_chat,
    "llama3": llama3,
    "llama31": llama31,
    "mistral": mistral_instruct,
    "gemma": gemma,
}


@cache
def family(name: str) -> Any:
    """The tokenizer of a family; made once, so a test that changes it makes its own."""
    return FAMILIES[name]()
