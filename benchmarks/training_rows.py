"""What the benchmarks of training share: rows of the corpora's lengths, random models, a recipe and the machine."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from med_lora.engine import Row
from med_lora.parameters import HardwareParams, OptimisationParams, PromptParams

ROOT = Path(__file__).parents[1]
VOCABULARY = 16_384
SIZES = {"10m": (256, 8, 4, 704), "100m": (768, 12, 12, 2048)}  # width, layers, heads, feed-forward
CORPORA = {"genmedgpt": ("genmedgpt5k/*.json", 256), "wikidoc": ("wikidoc/*.json", 1024)}
# Prompt and answer lengths in tokens of both corpora, at these shares of the rows.
QUANTILES = {
    "genmedgpt": ([4, 14, 22, 27, 33, 44, 90], [3, 12, 23, 38, 62, 112, 190]),
    "wikidoc": ([4, 7, 8, 10, 11, 15, 30], [3, 14, 32, 60, 116, 269, 3000]),
}
SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def recipe(batch: int, **changes: Any) -> OptimisationParams:
    given = {
        "epochs": 1,
        "learning_rate": 2e-3,
        "effective_batch_size": batch,
        "warmup_ratio": 0.0,
        "schedule": "cosine",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "evaluations": 1,
        "checkpoints": 0,
        "batches": "grouped",
        "keep": "last",
        "patience": None,
        "lora_plus_ratio": None,
        "neftune_alpha": None,
        "seed": 1,
    }
    return OptimisationParams(**(given | changes))


def machine(precision: str, **changes: Any) -> HardwareParams:
    """A CPU as ``conf/cpu`` or ``conf/cpu_bf16`` has it."""
    import yaml

    given: dict[str, Any] = {}
    for name in ("base", "cpu_bf16" if precision == "bf16" else "cpu"):
        given |= yaml.safe_load((ROOT / "conf" / name / "globals.yml").read_text(encoding="utf-8"))["hardware"]
    return HardwareParams(**(given | changes))


def make_tokenizer(texts: Sequence[str]) -> Any:
    """A byte-level BPE of the texts, with EOS and padding."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<eos>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<eos>", pad_token="<pad>")


def real_rows(raw: str, count: int) -> tuple[Any, dict[str, list[Row]]]:
    """A tokenizer of both corpora, and rows drawn from each."""
    from med_lora.datasets import CorpusDataset
    from med_lora.prompts import PairTokeniser

    pairs: dict[str, list[tuple[str, str]]] = {}
    for name, (files, _) in CORPORA.items():
        tables = CorpusDataset(name=name, corpora={name: {"layout": "alpaca", "files": files}}, root=raw).load()
        found = [pair for table in tables for pair in zip(table["input"], table["output"], strict=True) if all(pair)]
        pairs[name] = random.Random(1).sample(found, len(found))
    tokenizer = make_tokenizer([text for found in pairs.values() for pair in found for text in pair])
    tokeniser = PairTokeniser(PromptParams(template="plain", system=None), tokenizer)
    rows = {}
    for name, (_, limit) in CORPORA.items():
        questions, answers = zip(*pairs[name][:count], strict=True)
        tokenised = tokeniser.pairs(questions, answers, limit)
        rows[name] = [Row(input_ids=pair.input_ids, labels=pair.labels) for pair in tokenised]
    return tokenizer, rows


def made_up_rows(count: int) -> tuple[Any, dict[str, list[Row]]]:
    """The same without the corpora: random tokens with their lengths."""
    import numpy

    rows: dict[str, list[Row]] = {}
    for name, (_, limit) in CORPORA.items():
        draw = numpy.random.default_rng(1)
        prompts, answers = (
            numpy.interp(draw.random(count), SHARES, quantiles).astype(int) for quantiles in QUANTILES[name]
        )
        rows[name] = []
        for prompt, answer in zip(prompts, answers, strict=True):
            ids = draw.integers(2, VOCABULARY, prompt + answer)[:limit].tolist()
            rows[name].append(Row(input_ids=ids, labels=[-100] * prompt + ids[prompt:]))
    return make_tokenizer([""]), rows


def make_model(size: str) -> Any:
    """A random Llama with an adapter of rank 16."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    width, layers, heads, feed_forward = SIZES[size]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        intermediate_size=feed_forward,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
    )
    lora = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear")
    return get_peft_model(LlamaForCausalLM(config), lora)
