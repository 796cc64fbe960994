"""A live model with LoRA beside frozen weights (PEFT 0.21, bitsandbytes 0.50) as options, duck-typed.

What LoraConfig asks for is read off what PEFT made of it: which modules have a pair, of what rank and dtype, which
parameters are trained. Every field of LoraConfig is read that way or from the config, harmless, or refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from ._dtypes import precision_of
from ._errors import InputError

T = TypeVar("T")

#: What to do where live adapters cannot be read.
BY_HAND = "pass the base model's config, lora_rank and lora_targets"

#: Fields of LoraConfig that are used, or read off the modules and parameters they made.
READ = frozenset(
    """peft_type r rank_pattern lora_dropout target_modules exclude_modules layers_to_transform layers_pattern
    target_parameters modules_to_save trainable_token_indices bias inference_mode""".split()
)

#: Fields that change no byte of a training step: names, scales, and how weights began.
HARMLESS = frozenset(
    """task_type auto_mapping peft_version base_model_name_or_path revision lora_alpha alpha_pattern use_rslora
    fan_in_fan_out init_lora_weights loftq_config eva_config corda_config lora_ga_config megatron_core
    qalora_group_size runtime_config""".split()
)

#: Fields that are refused where they are set, and the reason.
REFUSED = {
    "use_dora": "computes the norms of the adapted weights",
    "ensure_weight_tying": "ties the copies of modules that are tied",
    "use_qalora": "pools what the adapters are applied to",
    "use_bdlora": "splits the pairs into blocks",
    "lora_bias": "gives the pairs a bias",
    "layer_replication": "makes layers twice",
    "megatron_config": "adapts Megatron's layers",
    "velora_config": "keeps compressed inputs",
    "monteclora_config": "samples the pairs",
    "alora_invocation_tokens": "adapts only some tokens",
    "arrow_config": "routes between adapters",
    "kasa_config": "adds singular values",
}

#: A mixture's parameters that PEFT adapts in the place of linear layers, by the names that `lora-targets` has for them
#: (_convert_peft_config_moe): two in one have twice the rank.
FUSED = {
    "gate_up_proj": ("gate_proj", "up_proj"),
    "down_proj": ("down_proj",),
}
FUSED_OF_MIXTRAL = {"gate_up_proj": ("w1", "w3"), "down_proj": ("w2",)}

#: bitsandbytes' layers: their bits.
PACKED = {"Linear4bit": 4, "Linear8bitLt": 8}


def read_adapters(model: Any) -> dict[str, str]:
    """The options of the adapters of `model`, and of how the frozen weights beside them are stored.

    Args:
        model: what `peft.get_peft_model` made, or a transformers model with `add_adapter`.

    Raises:
        InputError: for what is not LoRA, and for LoRA that is not modelled.
    """
    name, config = only_adapter(model.peft_config)
    check_fields(config)
    modules = dict(base_of(model).named_modules())
    pairs = pairs_of(modules, name)
    parameters = dict(base_of(model).named_parameters())
    targets = targets_of({path: each for path, each in pairs.items() if adapted(each) is None}, modules)
    targets += fused_targets(pairs, parameters, getattr(model.config, "model_type", None))
    options = {
        "lora-rank": str(only((rank_of(module, name) for module in pairs.values()), "adapters of rank")),
        "lora-targets": ",".join(sorted(set(targets))),
        "lora-dropout": str(getattr(config, "lora_dropout", 0.0)),
    }
    check_trained(parameters)
    if saved := {saved_in(path) or "" for path in parameters} - {""}:
        options["lora-modules-to-save"] = ",".join(sorted(saved))
    stored = {path: module for path, module in modules.items() if not hasattr(module, "lora_A")}  # PEFT's are namesakes
    packed = {path: module for path, module in stored.items() if type(module).__name__ in PACKED}
    plain = {path: each for path, each in parameters.items() if not is_pair(path) and owner(path) not in packed}
    if not packed:
        options["precision"] = only((dtype_of(path, each) for path, each in plain.items()), "weights in")
    else:
        loaded = precision_of(getattr(model.config, "dtype", None)) or "fp32"
        options.update(read_packed(packed, stored, plain, loaded))
    adapters = only((dtype_of(path, each) for path, each in parameters.items() if is_pair(path)), "adapters in")
    if adapters == "fp32":
        return options
    if packed or adapters != options["precision"]:
        raise InputError("model", f"has adapters in {adapters} beside weights that are not", BY_HAND)
    return {**options, "lora-dtype": "model"}


def base_of(model: Any) -> Any:
    """The transformers model inside, whose class says the task."""
    return model.get_base_model() if callable(getattr(model, "get_base_model", None)) else model


def only_adapter(configs: Mapping[str, Any]) -> tuple[str, Any]:
    """The name and the config of the one adapter."""
    if len(configs) != 1:
        raise InputError("model", f"has {len(configs)} adapters", "train one at a time, or " + BY_HAND)
    name, config = next(iter(configs.items()))
    kind = str(getattr(config.peft_type, "value", config.peft_type))
    if kind != "LORA":
        raise InputError("peft_type", f"{kind} is not modelled", "LORA is")
    return name, config


def check_fields(config: Any) -> None:
    for field, value in vars(config).items():
        if value and not (field.startswith("_") or field in READ or field in HARMLESS):
            raise InputError(field, f"is not modelled: it {REFUSED.get(field, 'is not known')}", BY_HAND)


def last_name(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def owner(path: str) -> str:
    """The module of a parameter."""
    return path.rpartition(".")[0]


def is_pair(path: str) -> bool:
    """Whether a module or parameter is part of an adapter."""
    return any(part.startswith("lora_") for part in path.split("."))


def only(values: Iterable[T], what: str) -> T:
    """The value that all of them are."""
    found = sorted(set(values), key=str)
    if len(found) != 1:
        raise InputError("model", f"has {what} {' and '.join(map(str, found))}", BY_HAND)
    return found[0]


def pairs_of(modules: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The modules that the adapter of that name stands beside."""
    pairs = {path: module for path, module in modules.items() if hasattr(module, "lora_A")}
    for path, module in pairs.items():
        if name not in module.lora_A:
            raise InputError("target_modules", f"{path} is no linear layer, only those can be adapted here", BY_HAND)
        if getattr(module, "lora_variant", None):
            raise InputError("model", f"has another LoRA at {path}: {type(module.lora_variant[name]).__name__}", BY_HAND)
        if getattr(module, "merged", False) or getattr(module, "disable_adapters", False):
            raise InputError("model", "has adapters that are merged or disabled", "unmerge or enable them")
    return pairs


def adapted(pair: Any) -> str | None:
    """The parameter that PEFT's ParamWrapper adapts; None for a pair beside a linear layer."""
    return getattr(pair, "parameter_name", None)


def rank_of(pair: Any, name: str) -> int:
    rank = int(pair.r[name])
    return rank // 2 if len(FUSED.get(adapted(pair) or "", ())) == 2 and rank % 2 == 0 else rank


def fused_targets(pairs: Mapping[str, Any], parameters: Mapping[str, Any], family: str | None) -> list[str]:
    """Parameters that are adapted, by the names of the linear layers they stand for; all of a name must be."""
    names = FUSED_OF_MIXTRAL if family == "mixtral" else FUSED
    targets = []
    for parameter in sorted({adapted(pair) or "" for pair in pairs.values()} - {""}):
        wrapped = [path for path, pair in pairs.items() if adapted(pair) == parameter]
        if parameter == "weight":  # the router's, which is no linear layer
            targets += [last_name(path.replace(".base_layer", "")) for path in wrapped]
        elif parameter not in names:
            raise InputError("target_parameters", f"{parameter} is not modelled", f"known: {', '.join(names)}")
        elif len(wrapped) != sum(last_name(path) == parameter for path in parameters):
            raise InputError("model", f"has adapters at some {parameter} but not at all", BY_HAND)
        else:
            targets += names[parameter]
    if set(targets) - {"gate", *sum(names.values(), ())}:
        raise InputError("target_parameters", "adapts the weights of layers", "target_modules does")
    return targets


def targets_of(pairs: Mapping[str, Any], modules: Mapping[str, Any]) -> list[str]:
    """The adapted modules by the last part of their names; all of that name must be, but in what has a trained copy."""
    targets = sorted({last_name(path) for path in pairs})
    for path, module in modules.items():
        is_copied = not {"original_module", "modules_to_save"}.isdisjoint(path.split("."))
        if path not in pairs and last_name(path) in targets and hasattr(module, "weight") and not is_copied:
            problem = f"has adapters at some modules named {last_name(path)}, but not at {path}"
            raise InputError("model", problem, BY_HAND)
    return targets


def saved_in(path: str) -> str | None:
    """The module of which a copy has that parameter (PEFT's modules_to_save)."""
    module, copied, _ = path.partition(".modules_to_save.")
    return last_name(module) if copied else None


def check_trained(parameters: Mapping[str, Any]) -> None:
    """All of the adapters and of the copies beside them, and nothing else."""
    for path, parameter in parameters.items():
        is_adapter = is_pair(path) or saved_in(path) is not None
        if parameter.requires_grad != is_adapter:
            what = "does not train" if is_adapter else "trains more than adapters:"
            raise InputError("model", f"{what} {path}", BY_HAND)


def dtype_of(path: str, parameter: Any) -> str:
    precision = precision_of(parameter.dtype)
    if precision is None:
        raise InputError("model", f"has {path} in {parameter.dtype}", "known: float32, bfloat16, float16")
    return precision


def plain_linears(modules: Mapping[str, Any]) -> Iterator[str]:
    """Linear layers of the stack that are not packed; what stands outside of it, heads, has no number in its path."""
    for path, module in modules.items():
        in_stack = any(part.isdigit() for part in path.split("."))
        if in_stack and type(module).__name__ == "Linear" and not is_pair(path):
            yield path


def read_packed(
    packed: Mapping[str, Any], stored: Mapping[str, Any], plain: Mapping[str, Any], loaded: str
) -> dict[str, str]:
    """How weights are stored, what they are computed in, and in which dtype the others are.

    Args:
        loaded: the dtype that the model was loaded in, where no weight is in it any more.
    """
    for path in plain_linears(stored):
        raise InputError("model", f"has quantized layers, but {path} is none", BY_HAND)
    dtypes = {path: dtype_of(path, parameter) for path, parameter in plain.items()}
    half = {dtype for dtype in dtypes.values() if dtype != "fp32"}
    if only((PACKED[type(module).__name__] for module in packed.values()), "layers of bits") == 8:
        for module in packed.values():
            if module.state.threshold != 6.0 or module.state.has_fp16_weights:
                raise InputError("model", "has 8-bit layers of another threshold than 6.0, or with fp16 weights", BY_HAND)
        compute = only(half, "weights in") if half else loaded
        options = {"quantize": "int8"}
    else:
        computes = {str(precision_of(each.compute_dtype)) for each in packed.values() if each.compute_dtype is not None}
        compute = only(computes or half or {loaded}, "products in")
        weights = [module.weight for module in packed.values()]
        options = {"quantize": only((str(weight.quant_type) for weight in weights), "4-bit weights of kind")}
        if only((bool(weight.compress_statistics) for weight in weights), "constants quantized:"):
            options["double-quant"] = "true"
        if any(getattr(weight, "blocksize", 64) != 64 for weight in weights):
            raise InputError("model", "has 4-bit blocks of another size than 64", BY_HAND)
    return {**options, "precision": compute, "upcast": upcast_of(dtypes, plain, compute)}


def upcast_of(dtypes: Mapping[str, str], plain: Mapping[str, Any], compute: str) -> str:
    """What was made fp32 of the weights that are not packed: norms have one dimension."""
    norms = {dtype for path, dtype in dtypes.items() if len(plain[path].shape) == 1}
    others = {dtype for path, dtype in dtypes.items() if len(plain[path].shape) != 1}
    for upcast, expected in {
        "all": ({"fp32"}, {"fp32"}),
        "none": ({compute}, {compute}),
        "norms": ({"fp32"}, {compute}),
    }.items():
        if norms <= expected[0] and others <= expected[1]:
            return upcast
    found = " and ".join(sorted(norms | others))
    raise InputError("model", f"has weights in {found} beside packed ones computed in {compute}", BY_HAND)
