"""Live models with PEFT's LoRA; the recorded LoraConfig is version 0.21's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import peakmem
import pytest
from peakmem import InputError
from peakmem import _adapters as reader

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "lora_config.json").read_text())
CONFIG = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 100}
SHAPES = {row.name: row.shape for row in peakmem.parameters(CONFIG)}


class Weight:
    """Stands for a parameter."""

    def __init__(self, dtype: str, shape: tuple[int, ...] = (8, 8), **more: object) -> None:
        self.dtype = "torch." + dtype
        self.shape = shape
        self.requires_grad = False
        self.__dict__.update(more)


class Linear:
    """Stands for torch's layer; its subclasses for bitsandbytes' layers, and for PEFT's around one, by their names."""

    __module__ = "torch.nn.modules.linear"

    def __init__(self, weight: Weight) -> None:
        self.weight = weight


class Norm(Linear):
    __module__ = "torch.nn.modules.normalization"


class Linear4bit(Linear):
    __module__ = "bitsandbytes.nn.modules"

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(Weight("uint8", quant_type="nf4", compress_statistics=True))
        self.out_features, self.in_features = shape
        self.compute_dtype: str | None = "torch.bfloat16"


class Linear8bitLt(Linear):
    __module__ = "bitsandbytes.nn.modules"

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(Weight("int8"))
        self.out_features, self.in_features = shape
        self.state = SimpleNamespace(threshold=6.0, has_fp16_weights=False)


Layer = Callable[[tuple[int, ...]], Linear]


class LlamaForCausalLM:
    """Stands for a transformers model whose q_proj and v_proj have adapters."""

    __module__ = "transformers.models.llama.modeling_llama"

    def __init__(self, dtype: str, adapters: str, layer: Layer) -> None:
        self.config = SimpleNamespace(to_dict=lambda: {**CONFIG, "dtype": dtype}, dtype="torch." + dtype)
        self.modules: dict[str, Any] = {}
        for name, shape in SHAPES.items():
            path = name.removesuffix(".weight")
            packable = path.endswith("_proj")
            self.modules[path] = layer(shape) if packable else (Norm if len(shape) == 1 else Linear)(Weight(dtype, shape))
            if path.endswith(("q_proj", "v_proj")):
                self.adapt(path, adapters)

    def adapt(self, path: str, dtype: str) -> None:
        base = self.modules[path]
        pair = type(type(base).__name__, (), {"__module__": "peft.tuners.lora.layer"})()
        pair.r, pair.lora_A = {"default": 8}, {"default": Linear(Weight(dtype))}
        pair.lora_A["default"].weight.requires_grad = True
        self.modules[path] = pair
        self.modules[path + ".base_layer"] = base
        self.modules[path + ".lora_A.default"] = pair.lora_A["default"]

    def named_modules(self) -> list[tuple[str, Any]]:
        return list(self.modules.items())

    def named_parameters(self, remove_duplicate: bool = True) -> list[tuple[str, Any]]:
        return [(f"{path}.weight", each.weight) for path, each in self.modules.items() if hasattr(each, "weight")]


class PeftModel:
    """Stands for what get_peft_model makes."""

    def __init__(self, dtype: str = "float32", adapters: str = "float32", layer: Layer | None = None):
        self.base = LlamaForCausalLM(dtype, adapters, layer or (lambda shape: Linear(Weight(dtype, shape))))
        self.config = self.base.config
        self.peft_config = {"default": SimpleNamespace(**RECORDED)}

    def get_base_model(self) -> LlamaForCausalLM:
        return self.base


def asked(**options: Any) -> peakmem.Report:
    lora = {"lora_rank": 8, "lora_targets": ["q_proj", "v_proj"], "lora_dropout": 0.05}
    return peakmem.estimate(CONFIG, seq=64, **{**lora, **options})


def test_every_field_of_0_21_is_known() -> None:
    groups = [reader.READ, reader.HARMLESS, frozenset(reader.REFUSED)]
    assert frozenset().union(*groups) == set(RECORDED)
    assert sum(map(len, groups)) == len(RECORDED)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (PeftModel(), {}),
        (PeftModel("bfloat16"), {"precision": "bf16"}),
        (PeftModel("bfloat16", "bfloat16"), {"precision": "bf16", "lora_dtype": "model"}),
        (PeftModel("float32", layer=Linear4bit), {"precision": "bf16", "quantize": "nf4", "double_quant": True}),
        (PeftModel("bfloat16", layer=Linear4bit),
         {"precision": "bf16", "quantize": "nf4", "double_quant": True, "upcast": "none"}),
        (PeftModel("float16", layer=Linear8bitLt), {"precision": "fp16", "quantize": "int8", "upcast": "none"}),
    ],
)  # fmt: skip
def test_a_live_model_is_what_its_options_say(model: Any, options: dict[str, Any]) -> None:
    report, same = peakmem.estimate(model, seq=64), asked(**options)
    assert report.ledger == same.ledger and report.peak == same.peak


def test_norms_alone_may_be_in_fp32() -> None:
    model = PeftModel("bfloat16", layer=Linear4bit)
    for each in model.base.modules.values():
        if isinstance(each, Norm):
            each.weight.dtype = "torch.float32"
    same = asked(precision="bf16", quantize="nf4", double_quant=True, upcast="norms")
    assert peakmem.estimate(model, seq=64).ledger == same.ledger


def save_head(model: PeftModel) -> None:
    """Puts what modules_to_save makes around the head."""
    modules = model.base.modules
    modules["lm_head.original_module"] = modules["lm_head"]
    modules["lm_head"] = type("ModulesToSaveWrapper", (), {"__module__": "peft.utils.other"})()
    modules["lm_head.modules_to_save.default"] = Linear(Weight("float32", SHAPES["lm_head.weight"], requires_grad=True))


def test_trained_copies_are_read() -> None:
    model = PeftModel()
    save_head(model)
    assert peakmem.estimate(model, seq=64).ledger == asked(lora_modules_to_save="lm_head").ledger


def test_within_a_copied_module_nothing_is_adapted() -> None:
    modules = {"q_proj": object(), "head.original_module.q_proj": Linear(Weight("float32"))}
    assert reader.targets_of({"q_proj": object()}, modules) == ["q_proj"]
    with pytest.raises(InputError, match=r"but not at head\.q_proj"):
        reader.targets_of({"q_proj": object()}, {**modules, "head.q_proj": Linear(Weight("float32"))})


def test_options_beside_a_live_model_are_heard() -> None:
    assert peakmem.estimate(PeftModel(), seq=64, precision="bf16-mixed").ledger == asked(precision="bf16-mixed").ledger


def test_quantized_weights_under_autocast() -> None:
    args = {"per_device_train_batch_size": 8, "bf16": True}
    report = peakmem.from_training_args(PeftModel("float32", layer=Linear4bit), args, seq=64)
    assert report.not_understood == ()
    assert asked(precision="bf16-mixed", quantize="nf4", double_quant=True, clip_grad=False, trainer="hf",
                 optimizer_impl="fused").ledger == report.ledger  # fmt: skip


def test_adapters_that_transformers_added_itself() -> None:
    model: Any = PeftModel().base
    model.peft_config = {"default": SimpleNamespace(**RECORDED)}
    assert peakmem.estimate(model, seq=64).ledger == asked().ledger


Change = Callable[[PeftModel], object]
Q = "model.layers.0.self_attn.q_proj"


def module(path: str, **attributes: Any) -> Change:
    return lambda model: model.base.modules[path].__dict__.update(attributes)


def weight(path: str, **attributes: Any) -> Change:
    return lambda model: model.base.modules[path].weight.__dict__.update(attributes)


def added(path: str) -> Change:
    return lambda model: model.base.modules.update({path: Linear(Weight("float32"))})


def dropped(path: str) -> Change:
    return lambda model: model.base.modules.update({path: model.base.modules[path + ".base_layer"]})


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        (lambda model: model.peft_config.update(other=model.peft_config["default"]), "model", "2 adapters"),
        (dropped(Q), "model", f"but not at {Q}"),
        (module(Q, r={"default": 4}), "model", "rank 4 and 8"),
        (module(Q, lora_A={}), "target_modules", Q),
        (module(Q, merged=True), "model", "merged"),
        (module(Q, lora_variant={"default": object()}), "model", "another LoRA"),
        (weight(Q + ".lora_A.default", requires_grad=False), "model", "does not train"),
        (weight(Q + ".lora_A.default", dtype="torch.bfloat16"), "model", "adapters in bf16 and fp32"),
        (weight("model.norm", requires_grad=True), "model", "model.norm"),
        (weight("model.norm", dtype="torch.bfloat16"), "model", "weights in bf16 and fp32"),
        (weight("model.norm", dtype="torch.float64"), "model", "float64"),
        (added("lm_head.modules_to_save.default"), "model", "does not train lm_head.modules_to_save"),
    ],
)
def test_what_is_not_modelled_is_refused(change: Change, field: str, problem: str) -> None:
    model = PeftModel()
    change(model)
    with pytest.raises(InputError) as caught:
        peakmem.estimate(model)
    assert caught.value.field == field and problem in caught.value.problem


@pytest.mark.parametrize(
    ("layer", "change", "problem"),
    [
        (Linear4bit, added("model.layers.0.mlp.down_proj"), "down_proj is none"),
        (Linear4bit, weight(Q + ".base_layer", quant_type="fp4"), "fp4 and nf4"),
        (Linear4bit, weight(Q + ".base_layer", blocksize=128), "64"),
        (Linear4bit, weight("model.norm", dtype="torch.float16"), "beside packed ones"),
        (Linear4bit, module(Q + ".base_layer", compute_dtype="torch.float16"), "products in bf16 and fp16"),
        (Linear8bitLt, module(Q + ".base_layer", state=SimpleNamespace(threshold=0.0, has_fp16_weights=False)), "6.0"),
    ],
)
def test_quantized_weights_that_are_not_modelled(layer: Layer, change: Change, problem: str) -> None:
    model = PeftModel("float32", layer=layer)
    change(model)
    with pytest.raises(InputError, match=problem):
        peakmem.estimate(model)


@pytest.mark.parametrize("field", sorted(reader.REFUSED) + ["a_field_of_tomorrow"])
def test_fields_that_change_the_step_are_refused(field: str) -> None:
    model = PeftModel()
    setattr(model.peft_config["default"], field, True)
    with pytest.raises(InputError) as caught:
        peakmem.estimate(model)
    assert caught.value.field == field


def test_adapters_of_another_kind_are_refused() -> None:
    model = PeftModel()
    model.peft_config["default"].peft_type = SimpleNamespace(value="IA3")
    with pytest.raises(InputError, match="IA3"):
        peakmem.estimate(model)


def test_with_peft_itself() -> None:
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(**{name: size for name, size in CONFIG.items() if name != "model_type"})
    lora = peft.LoraConfig(r=8, target_modules=["q_proj", "v_proj"], lora_dropout=0.05)
    assert set(vars(lora)) - {"_custom_modules"} == set(RECORDED)
    model = peft.get_peft_model(transformers.LlamaForCausalLM(config), lora)
    report = peakmem.estimate(model, seq=64)
    assert report.parameters.trainable == sum(each.numel() for each in model.parameters() if each.requires_grad)
