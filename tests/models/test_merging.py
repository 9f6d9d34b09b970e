"""An adapter merged into its base model says what it said beside it, and the folder is anybody's to load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.datasets.pretrained import Pretrained, PretrainedDataset
from med_lora.errors import InputError
from med_lora.models.merging import BaseFiles, Merged, merge
from med_lora.parameters import MergingParams
from med_lora.provenance import describe_base
from tests.recipes import hardware, model_params

ROWS = [[5, 17, 40, 8, 99, 120, 7], [30, 31, 32, 33], [200, 5, 5, 61, 250]]
FP32 = MergingParams(dtype="fp32", tolerance=1e-3)
VARIANTS: dict[str, dict[str, Any]] = {"lora": {}, "rslora": {"use_rslora": True}, "dora": {"use_dora": True}}
AdapterMaker = Callable[..., Path]


@pytest.fixture
def base_model(tiny_model: Any, tokenizer: Any, tmp_path: Path) -> BaseModel:
    return save_base(tiny_model, tokenizer, tmp_path / "base")


def save_base(model: Any, tokenizer: Any, folder: Path) -> BaseModel:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return BaseModelDataset(id=str(folder)).load()


def make_adapter(base_model: BaseModel, folder: Path, quantisation: str = "none", **options: Any) -> Path:
    """An adapter of random, not zero, weights (DoRA's magnitudes too), with its record."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        **({"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "init_lora_weights": False} | options),
    )
    model = get_peft_model(base_model.model("float32"), config)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "magnitude" in name:
                value *= 1 + 0.3 * torch.rand_like(value)
    model.save_pretrained(str(folder))
    (folder / "med_lora.json").write_text(json.dumps(describe_base(base_model, quantisation)))
    return folder


def merged(base_model: BaseModel, adapter: Path, merging: MergingParams = FP32, quantisation: str = "none") -> Merged:
    return merge(base_model, adapter, model_params(quantisation=quantisation), hardware(), merging, ROWS)


def log_probabilities(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found = [model(input_ids=torch.tensor([row])).logits[0] for row in ROWS]
    return torch.cat(found).float().log_softmax(-1)


def beside(base_model: BaseModel, adapter: Path) -> torch.Tensor:
    """What the adapter says beside the base weights, by peft alone."""
    from peft import PeftModel

    return log_probabilities(PeftModel.from_pretrained(base_model.model("float32"), str(adapter)).eval())


def gap(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max())


@pytest.mark.parametrize("variant", VARIANTS)
def test_merged_model_says_what_the_adapter_said(variant: str, base_model: BaseModel, tmp_path: Path) -> None:
    adapter = make_adapter(base_model, tmp_path / "adapter", **VARIANTS[variant])
    result = merged(base_model, adapter)
    expected = beside(base_model, adapter)
    assert gap(log_probabilities(result.model), expected) < 1e-4
    assert gap(log_probabilities(base_model.model("float32")), expected) > 0.1  # the adapter says something else
    assert result.check["before_cast"]["largest_difference"] < 1e-4
    assert result.check["after_cast"] == {"largest_difference": 0, "mean_difference": 0, "equal_greedy_token": 1}
    assert (result.check["rows"], result.check["tokens"]) == (3, 16)
    assert not [name for name, _ in result.model.named_parameters() if "lora" in name]


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_rounding_to_16_bits_is_measured_apart(dtype: str, base_model: BaseModel, tmp_path: Path) -> None:
    adapter = make_adapter(base_model, tmp_path / "adapter")
    result = merged(base_model, adapter, MergingParams(dtype=dtype, tolerance=1e-4))
    assert result.model.dtype == {"bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
    assert result.check["before_cast"]["largest_difference"] < 1e-4
    rounding = gap(log_probabilities(result.model.float()), beside(base_model, adapter))
    assert result.check["after_cast"]["largest_difference"] == pytest.approx(rounding, abs=1e-4)
    assert rounding > 1e-4


@pytest.mark.parametrize("variant", ["lora", "rslora", "dora"])
def test_merging_into_4_bits_goes_through_the_dequantised_weights(
    variant: str, base_model: BaseModel, tmp_path: Path
) -> None:
    adapter = make_adapter(base_model, tmp_path / "adapter", "nf4", **VARIANTS[variant])
    result = merged(base_model, adapter, quantisation="nf4")
    assert result.check["dequantised"]["largest_difference"] < 1e-4
    assert result.check["before_cast"]["largest_difference"] < 1e-4
    assert gap(log_probabilities(result.model), beside(base_model, adapter)) > 1e-2  # onto the original weights
    assert {value.dtype for value in result.model.parameters()} == {torch.float32}
    assert not hasattr(result.model.config, "quantization_config")


@pytest.mark.parametrize("variant", ["lora", "rslora"])
def test_merging_into_8_bits_reports_the_rounded_activations(
    variant: str, base_model: BaseModel, tmp_path: Path
) -> None:
    adapter = make_adapter(base_model, tmp_path / "adapter", "int8", **VARIANTS[variant])
    result = merged(base_model, adapter, quantisation="int8")
    assert result.check["before_cast"]["largest_difference"] < 1e-4
    assert result.check["dequantised"]["largest_difference"] > FP32.tolerance
    assert gap(log_probabilities(result.model), beside(base_model, adapter)) > 1e-3


def test_dora_on_8_bits_is_not_merged_on_a_cpu(base_model: BaseModel, tmp_path: Path) -> None:
    """There peft loses the scales of the weights at the second forward pass."""
    adapter = make_adapter(base_model, tmp_path / "adapter", "int8", use_dora=True)
    with pytest.raises(InputError, match="DoRA on 8-bit weights"):
        merged(base_model, adapter, quantisation="int8")


def lose_the_update(monkeypatch: pytest.MonkeyPatch, base_model: BaseModel) -> None:
    from peft.tuners.lora import LoraModel

    monkeypatch.setattr(LoraModel, "merge_and_unload", lambda self: self.unload())


def forget_the_scale(monkeypatch: pytest.MonkeyPatch, base_model: BaseModel) -> None:
    from peft.tuners.lora import layer

    plain = layer.Linear.get_delta_weight
    monkeypatch.setattr(layer.Linear, "get_delta_weight", lambda self, adapter: plain(self, adapter) * 1.1)


def make_it_no_number(monkeypatch: pytest.MonkeyPatch, base_model: BaseModel) -> None:
    from peft.tuners.lora import layer

    plain = layer.Linear.get_delta_weight
    monkeypatch.setattr(layer.Linear, "get_delta_weight", lambda self, adapter: plain(self, adapter) * float("nan"))


def take_the_original(monkeypatch: pytest.MonkeyPatch, base_model: BaseModel) -> None:
    from transformers import PreTrainedModel

    monkeypatch.setattr(PreTrainedModel, "dequantize", lambda self, dtype: base_model.model(dtype))


@pytest.mark.parametrize(
    ("harm", "quantisation"),
    [
        (lose_the_update, "none"),
        (forget_the_scale, "none"),
        (make_it_no_number, "none"),
        (take_the_original, "nf4"),
    ],
)
def test_broken_merge_is_refused(
    harm: Callable[..., None], quantisation: str, base_model: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = make_adapter(base_model, tmp_path / "adapter", quantisation)
    merged(base_model, adapter, quantisation=quantisation)
    harm(monkeypatch, base_model)
    with pytest.raises(InputError, match=r"more than merging\.tolerance \(0\.001\), so nothing was saved"):
        merged(base_model, adapter, quantisation=quantisation)


def test_weights_that_fp16_cannot_hold_are_refused(
    base_model: BaseModel, tiny_model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    with torch.no_grad():  # the next norm takes the size away again
        tiny_model.model.embed_tokens.weight *= 1e7
    large = save_base(tiny_model, tokenizer, tmp_path / "large")
    adapter = make_adapter(large, tmp_path / "adapter")
    loose = MergingParams(dtype="fp16", tolerance=1e9)
    with pytest.raises(
        InputError, match=r"values in model\.embed_tokens\.weight that fp16 cannot hold; set merging\.dtype to bf16"
    ):
        merged(large, adapter, loose)
    assert merged(large, adapter, loose.model_copy(update={"dtype": "bf16"})).model.dtype == torch.bfloat16


def test_gptq_is_refused(base_model: BaseModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing can be merged into GPTQ weights"):
        merged(base_model, tmp_path, quantisation="gptq")


@pytest.mark.parametrize(("trained_on", "given"), [("nf4", "none"), ("none", "nf4"), ("int8", "nf4")])
def test_adapter_of_another_quantisation_is_refused(
    trained_on: str, given: str, base_model: BaseModel, tmp_path: Path
) -> None:
    adapter = make_adapter(base_model, tmp_path / "adapter", trained_on)
    with pytest.raises(
        InputError, match=f"quantisation {trained_on} and this run sets {given}.*set it to {trained_on}"
    ):
        merged(base_model, adapter, quantisation=given)


def test_adapter_of_another_base_is_refused(
    base_model: BaseModel, tiny_model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    adapter = make_adapter(base_model, tmp_path / "adapter")
    with torch.no_grad():
        tiny_model.model.embed_tokens.weight[0, 0] += 1
    with pytest.raises(InputError, match="was trained on"):
        merged(save_base(tiny_model, tokenizer, tmp_path / "other"), adapter)


def test_gpt2_merges_with_its_transposed_weights(tokenizer: Any, tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=32, n_layer=2, n_head=2)
    base = save_base(GPT2LMHeadModel(config), tokenizer, tmp_path / "gpt2")
    adapter = make_adapter(base, tmp_path / "adapter", target_modules=["c_attn", "c_fc"], fan_in_fan_out=True)
    assert gap(log_probabilities(merged(base, adapter).model), beside(base, adapter)) < 1e-4


def save_whole(result: Merged, base_model: BaseModel, folder: Path) -> Path:
    dataset = PretrainedDataset(filepath=str(folder))
    dataset.save(Pretrained(result.model, BaseFiles(base_model), {}))
    return dataset.load().path


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    (file,) = folder.glob("*.safetensors")
    return load_file(file)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("quantisation", ["none", "nf4"])
def test_folder_is_laid_out_as_the_architecture_s_own_checkpoint(
    quantisation: str, tied: bool, tiny_model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    tiny_model.config.tie_word_embeddings = tied
    base = save_base(LlamaForCausalLM(tiny_model.config), tokenizer, tmp_path / "tied")
    adapter = make_adapter(base, tmp_path / "adapter", quantisation)
    result = merged(base, adapter, MergingParams(dtype="bf16", tolerance=1e-3), quantisation)
    folder = save_whole(result, base, tmp_path / "merged")
    original, saved = read_tensors(Path(base.source)), read_tensors(folder)
    assert {name: value.shape for name, value in saved.items()} == {
        name: value.shape for name, value in original.items()
    }
    assert ("lm_head.weight" in saved) == (not tied)
    assert {value.dtype for value in saved.values()} == {torch.bfloat16}
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    assert loaded.dtype == torch.bfloat16
    assert (loaded.lm_head.weight.data_ptr() == loaded.model.embed_tokens.weight.data_ptr()) == tied
    assert gap(log_probabilities(loaded), log_probabilities(result.model)) == 0
    text = "Question: what is gout?"
    assert AutoTokenizer.from_pretrained(folder)(text)["input_ids"] == tokenizer(text)["input_ids"]
    config, before = (json.loads((place / "config.json").read_text()) for place in (folder, Path(base.source)))
    assert config["architectures"] == before["architectures"]
    assert "quantization_config" not in config


def test_llama_cpp_knows_every_tensor_of_the_folder(base_model: BaseModel, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="gguf is not installed")
    adapter = make_adapter(base_model, tmp_path / "adapter")
    saved = read_tensors(save_whole(merged(base_model, adapter), base_model, tmp_path / "merged"))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    assert len(saved) == 2 * 9 + 2
    assert [name for name in saved if names.get_name(name, try_suffixes=(".weight",)) is None] == []
    # the same for the adapter, whose names the converter makes of peft's
    weights = [name for name in read_tensors(adapter) if "lora_A" in name]
    plain = [name.removeprefix("base_model.model.").replace(".lora_A", "") for name in weights]
    assert [name for name in plain if names.get_name(name, try_suffixes=(".weight",)) is None] == []
    assert len(plain) == 2 * 7


def test_tokenizer_settings_and_licence_texts_are_copied_byte_by_byte(base_model: BaseModel, tmp_path: Path) -> None:
    """A temperature without sampling is what Llama-2-chat was published with; transformers would tidy it up."""
    source = Path(base_model.source)
    (source / "generation_config.json").write_text('{"do_sample": false, "temperature": 0.9, "eos_token_id": 0}')
    (source / "tokenizer.model").write_bytes(b"\x0a\x0b")
    (source / "LICENSE.txt").write_text("terms")
    base = BaseModelDataset(id=str(source)).load()
    adapter = make_adapter(base, tmp_path / "adapter")
    folder = save_whole(merged(base, adapter), base, tmp_path / "merged")
    copied = ["generation_config.json", "tokenizer.model", "tokenizer.json", "tokenizer_config.json", "LICENSE.txt"]
    for name in copied:
        assert (folder / name).read_bytes() == (source / name).read_bytes(), name
    assert BaseModelDataset(id=str(folder)).load().tokenizer_sha256() == base.tokenizer_sha256()


@pytest.mark.parametrize(
    ("card", "licence"), [("---\nlicense: llama3\n---\n", "llama3"), ("# A\n", None), (None, None)]
)
def test_licence_is_the_one_on_the_base_model_s_card(
    card: str | None, licence: str | None, base_model: BaseModel
) -> None:
    if card is not None:
        (Path(base_model.source) / "README.md").write_text(card)
    assert BaseFiles(base_model).licence() == licence


def test_files_of_a_hub_model_come_from_the_cache(
    base_model: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    commit = "a" * 40
    shutil.copytree(base_model.source, tmp_path / "cache/models--org--model/snapshots" / commit)
    target = tmp_path / "copy"
    target.mkdir()
    BaseFiles(BaseModel("org/model", commit, None)).save_pretrained(str(target))
    assert (target / "tokenizer.json").read_bytes() == (Path(base_model.source) / "tokenizer.json").read_bytes()
    assert not (target / "config.json").exists()
