"""Small tokenizers that treat special tokens, spaces and BOS as each model family does, with its chat format.

Only the vocabulary is trained here. Everything around it (normaliser, pre-tokeniser, post-processor, special tokens,
chat template) follows the family's published tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from med_lora.rehearsal import chat_templates

Merges = list[Any]  # pairs of entries
# What templates and markup are written in, whether or not it occurs in the texts.
_LETTERS = "abcdefghijklmnopqrstuvwxyz<>/[]|_#:!?ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Vocabulary:
    """What a byte-pair encoding is trained on.

    Attributes:
        texts: whose words are counted.
        size: entries, special tokens and single characters among them; fewer where the texts have no more.
    """

    texts: Sequence[str]
    size: int

    def of_bytes(self, specials: list[str]) -> tuple[dict[str, int], Merges]:
        """Vocabulary over bytes, as in GPT-2."""
        from tokenizers import pre_tokenizers

        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
        return self._train(byte_level, specials, sorted(pre_tokenizers.ByteLevel.alphabet()))

    def of_characters(self, specials: list[str]) -> tuple[dict[str, int], Merges]:
        """Vocabulary over characters with a mark for spaces and bytes to fall back to, as in SentencePiece."""
        from tokenizers import pre_tokenizers

        letters = sorted({*"".join(self.texts).replace(" ", "▁"), *_LETTERS})
        byte_tokens = [f"<0x{value:02X}>" for value in range(256)]
        return self._train(pre_tokenizers.Metaspace(), [*specials, *byte_tokens], letters)

    def _train(self, pre_tokenizer: Any, specials: list[str], alphabet: list[str]) -> tuple[dict[str, int], Merges]:
        from tokenizers import Tokenizer, models, trainers

        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer = pre_tokenizer
        trainer = trainers.BpeTrainer(
            vocab_size=self.size,
            special_tokens=specials,
            initial_alphabet=alphabet,
            show_progress=False,
            min_frequency=1,
        )
        bpe.train_from_iterator(self.texts, trainer)
        model = json.loads(bpe.to_str())["model"]
        return model["vocab"], [tuple(merge) for merge in model["merges"]]


def gpt2(vocabulary: Vocabulary) -> Any:
    """GPT-2 and DistilGPT2 share their tokenizer: one special token, nothing in front of a text, no padding token."""
    from transformers import GPT2Tokenizer

    entries, merges = vocabulary.of_bytes(["<|endoftext|>"])
    return GPT2Tokenizer(vocab=entries, merges=merges)


def llama2(vocabulary: Vocabulary) -> Any:
    """Llama 2, with its chat format."""
    from transformers import LlamaTokenizer

    entries, merges = vocabulary.of_characters(["<unk>", "<s>", "</s>"])
    return LlamaTokenizer(vocab=entries, merges=merges, add_bos_token=True, chat_template=chat_templates.LLAMA2_CHAT)


def llama3(vocabulary: Vocabulary) -> Any:
    """Llama 3, with its chat format."""
    return _llama3(vocabulary, chat_templates.LLAMA3_CHAT)


def llama31(vocabulary: Vocabulary) -> Any:
    """Llama 3.1: the tokens of 3, and dates in every conversation."""
    return _llama3(vocabulary, chat_templates.LLAMA31_CHAT)


def mistral(vocabulary: Vocabulary) -> Any:
    """As in its tokenizer.json: the word mark in front of every run of text, not of the first alone."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    specials = ["<unk>", "<s>", "</s>"]
    entries, merges = vocabulary.of_characters(specials)
    bpe = Tokenizer(models.BPE(vocab=entries, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    bpe.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    bpe.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(content=" ", left=1)]
    )
    bpe.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in specials])
    bpe.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", entries["<s>"])]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        chat_template=chat_templates.MISTRAL_CHAT,
    )


def gemma(vocabulary: Vocabulary) -> Any:
    """Gemma 1 and 1.1: no role for the system."""
    from transformers import GemmaTokenizer

    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
    entries, merges = vocabulary.of_characters(specials)
    return GemmaTokenizer(
        vocab=entries,
        merges=merges,
        add_bos_token=True,
        extra_special_tokens=specials[-2:],
        chat_template=chat_templates.GEMMA_CHAT,
    )


def qwen3(vocabulary: Vocabulary) -> Any:
    """Qwen 3: no BOS, digits one by one, a padding token of its own."""
    from transformers import PreTrainedTokenizerFast

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    entries, merges = vocabulary.of_bytes(specials)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=_split_by_words(entries, merges, specials, digits=""),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=chat_templates.QWEN3_CHAT,
    )


TOKENIZERS: dict[str, Callable[[Vocabulary], Any]] = {
    "gpt2": gpt2,
    "llama2": llama2,
    "llama3": llama3,
    "llama31": llama31,
    "mistral": mistral,
    "gemma": gemma,
    "qwen3": qwen3,
}


def _llama3(vocabulary: Vocabulary, chat_template: str) -> Any:
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    names = ["begin_of_text", "end_of_text", "start_header_id", "end_header_id", "eot_id"]
    specials = [f"<|{name}|>" for name in names]
    entries, merges = vocabulary.of_bytes(specials)
    bpe = _split_by_words(entries, merges, specials, digits="{1,3}")
    begin = specials[0]
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin} $B", special_tokens=[(begin, entries[begin])]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe, bos_token=begin, eos_token="<|eot_id|>", chat_template=chat_template
    )


def _split_by_words(entries: dict[str, int], merges: Merges, specials: list[str], *, digits: str) -> Any:
    """A byte-level encoding within words; ``digits`` says how many go together."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    bpe = Tokenizer(models.BPE(vocab=entries, merges=merges, ignore_merges=True))
    split = pre_tokenizers.Split(Regex(_WORDS.format(digits=digits)), behavior="isolated")
    bytes_of_words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_of_words])
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in specials])
    return bpe
