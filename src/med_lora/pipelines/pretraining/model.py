"""A tokenizer and a small Llama model from scratch, and the card that says how they were made."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.datasets.pretrained import Pretrained
from med_lora.engine import Row, fit, mean_loss
from med_lora.errors import InputError
from med_lora.parameters import HardwareParams, PretrainingParams
from med_lora.pipelines.pretraining.card import write_card

END_OF_TEXT, PADDING = "<|endoftext|>", "<|pad|>"


def train_tokenizer(general_text: pd.DataFrame, pretraining: PretrainingParams) -> Any:
    """A byte-level BPE tokenizer (Sennrich et al. 2016, arXiv:1508.07909) of the configured vocabulary size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=pretraining.architecture.vocabulary,
        special_tokens=[END_OF_TEXT, PADDING],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(general_text["text"], trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe,
        eos_token=END_OF_TEXT,
        pad_token=PADDING,
        model_max_length=pretraining.architecture.context_length,
        clean_up_tokenization_spaces=False,
    )


def cut_blocks(
    general_text: pd.DataFrame, tokenizer: Any, pretraining: PretrainingParams
) -> tuple[list[Row], list[Row]]:
    """Training and validation rows of ``block_length`` tokens; documents end with EOS and follow one another.

    Every n-th document is held out, n from ``validation_fraction``, so that the validation text covers all sources.
    """
    every = round(1 / pretraining.validation_fraction)
    streams: tuple[list[int], list[int]] = ([], [])
    for number, text in enumerate(general_text["text"]):
        ids = tokenizer(text, verbose=False)["input_ids"] + [tokenizer.eos_token_id]
        streams[number % every == every - 1].extend(ids)
    length = pretraining.block_length
    train, validation = (
        [ids[start : start + length] for start in range(0, len(ids) - length + 1, length)] for ids in streams
    )
    if not train or not validation:
        raise InputError("The general corpus is shorter than two blocks: lower pretraining.block_length or add text.")
    return [Row(input_ids=b, labels=b) for b in train], [Row(input_ids=b, labels=b) for b in validation]


def pretrain_model(
    general_text: pd.DataFrame, tokenizer: Any, pretraining: PretrainingParams, hardware: HardwareParams
) -> tuple[Pretrained, pd.DataFrame]:
    """Train a Llama model from scratch on all tokens; returns it with tokenizer and card, and the loss history."""
    import torch
    from transformers import set_seed

    train, validation = cut_blocks(general_text, tokenizer, pretraining)
    set_seed(pretraining.optimisation.seed)
    model = build_model(tokenizer, pretraining)
    result = fit(model, tokenizer, train, validation, pretraining.optimisation, hardware)
    model.to(torch.bfloat16)  # half the size on disk; the card's figures are measured on the rounded weights
    model.eval()
    loss = mean_loss(model, validation, tokenizer.pad_token_id, hardware.inference_batch_size)
    samples = [continue_text(model, tokenizer, text, pretraining.sample_tokens) for text in pretraining.samples]
    card = write_card(model, tokenizer, general_text, pretraining, hardware, result, loss, samples)
    return Pretrained(model, tokenizer, {"README.md": card}), result.history


def build_model(tokenizer: Any, pretraining: PretrainingParams) -> Any:
    """A randomly initialised Llama of the configured shape, input and output embeddings tied."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = pretraining.architecture
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=shape.hidden_size,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.heads,
            intermediate_size=shape.intermediate_size,
            max_position_embeddings=shape.context_length,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def continue_text(model: Any, tokenizer: Any, beginning: str, new_tokens: int) -> str:
    """Sampled continuation (temperature 0.7, top-p 0.9, seed 0) of ``beginning``, with it."""
    import torch

    torch.manual_seed(0)
    inputs = tokenizer(beginning, return_tensors="pt")
    output = model.generate(
        input_ids=inputs["input_ids"].to(model.device),
        attention_mask=inputs["attention_mask"].to(model.device),
        max_new_tokens=new_tokens,
        do_sample=True,
        temperature=0.7,
        top_p=0.9,
    )
    return str(tokenizer.decode(output[0], skip_special_tokens=True))
