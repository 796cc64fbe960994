"""From a case (a JSON object) to a model, batches, an optimizer and a step."""

import contextlib
import importlib
import fnmatch

import torch
import transformers

from experts import run_in_a_loop

AUTO = {
    "causal-lm": "AutoModelForCausalLM",
    "masked-lm": "AutoModelForMaskedLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "seq2seq-lm": "AutoModelForSeq2SeqLM",
    "image-classification": "AutoModelForImageClassification",
}
COMPUTE = {"bf16": torch.bfloat16, "bf16-autocast": torch.bfloat16, "fp16": torch.float16, "fp16-autocast": torch.float16}
WEIGHTS = {"bf16": torch.bfloat16, "fp16": torch.float16}
DTYPE = "torch_dtype" if transformers.__version__.startswith("4") else "dtype"  # what from_config calls it
AUTOCAST = {"bf16-autocast": torch.bfloat16, "fp16-autocast": torch.float16}

# Optimizers: the class in torch.optim, or module:class elsewhere, and its options.
TORCH = {
    "adamw": ("AdamW", {}), "adam": ("Adam", {}), "sgd": ("SGD", {}), "sgd-momentum": ("SGD", {"momentum": 0.9}),
    "adagrad": ("Adagrad", {}), "rmsprop": ("RMSprop", {}), "torch-adafactor": ("Adafactor", {}),
    "nadam": ("NAdam", {}), "radam": ("RAdam", {}), "adamax": ("Adamax", {}), "adadelta": ("Adadelta", {}),
    "asgd": ("ASGD", {}),
}
ELSEWHERE = {
    "adafactor": ("transformers:Adafactor", {"scale_parameter": False, "relative_step": False}),
    "lion": ("lion_pytorch:Lion", {}),
}


def build_config(case):
    """The Hugging Face config; absent fields have its model's defaults."""
    fields = dict(case["config"])
    return transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)


def build_model(case):
    """The model in training mode on the fake device, with LoRA and checkpointing."""
    config = build_config(case)
    config.use_cache = False  # a training step reads no cache
    auto = getattr(transformers, AUTO[case["task"]])
    dtype = (COMPUTE if case.get("quantize") else WEIGHTS).get(case["precision"], torch.float32)
    with torch.device("cuda"):
        model = auto.from_config(config, attn_implementation=case["attention"], **{DTYPE: dtype})
    if case.get("quantize"):
        quantize(model, case)
    if case.get("experts") == "loop":
        run_in_a_loop(model)
    if case.get("lora"):
        model = add_lora(model, case["lora"])
    if case.get("freeze"):
        freeze(model, case["freeze"])
    if case.get("checkpointing"):
        enable_checkpointing(model, case)
    return model.train()


def freeze(model, patterns):
    """Parameters whose name matches one of the globs are not trained."""
    for name, parameter in model.named_parameters():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            parameter.requires_grad_(False)


def quantize(model, case):
    """Linear layers but the head in 4 bits, as from_pretrained leaves them, and the rest as PEFT prepares it."""
    import bitsandbytes
    import peft
    from torch._subclasses.fake_tensor import unset_fake_temporarily
    torch.ops.bitsandbytes.gemm_4bit.default = gemm_4bit
    bitsandbytes.functional.name2qmap.clear()  # made once a process, and a case stands for one
    compute = COMPUTE.get(case["precision"], torch.float32)
    head = model.get_output_embeddings()
    linears = [m for m in model.modules() for c in m.children() if type(c) is torch.nn.Linear and c is not head]
    for parent in dict.fromkeys(linears):
        for name, child in list(parent.named_children()):
            if type(child) is not torch.nn.Linear or child is head:
                continue
            with unset_fake_temporarily():  # its own weight, replaced at once, is a class that fakes cannot be
                linear = bitsandbytes.nn.Linear4bit(1, 1, compute_dtype=compute, device="cpu")
            linear.in_features, linear.out_features = child.in_features, child.out_features
            linear.weight = packed(child.weight.data, bool(case.get("double_quant")))
            linear.bias = child.bias
            setattr(parent, name, linear)
    model.is_loaded_in_4bit = True
    peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def gemm_4bit(A, B, shape, absmax, blocksize, quant_type, bias=None, absmax_8bit=None, absmax_code=None,
              absmax_offset=None):
    """What bitsandbytes' CUDA backend allocates (backends/cuda/ops.py, _dequant_linear_fallback): fakes hide it."""
    if A.numel() // A.shape[-1] <= 1536:
        return A.new_empty((*A.shape[:-1], shape[0]))
    if absmax_8bit is not None:
        unshifted = torch.empty_like(absmax_8bit, dtype=torch.float32)
        absmax = unshifted + absmax_offset
    weight = torch.empty(shape, dtype=A.dtype, device=A.device)
    return torch.nn.functional.linear(A, weight, bias)


def packed(weight, double_quant):
    """A Params4bit's data and attributes; its class does not wrap fake tensors."""
    from bitsandbytes import functional
    data, state = functional.quantize_4bit(weight, blocksize=64, compress_statistics=double_quant, quant_type="nf4")
    parameter = torch.nn.Parameter(data, requires_grad=False)
    parameter.quant_state, parameter.quant_type, parameter.compress_statistics = state, "nf4", double_quant
    return parameter


def add_lora(model, lora):
    """Adapters as PEFT makes them: in fp32 over half weights unless told otherwise."""
    import peft
    config = peft.LoraConfig(r=lora["r"], target_modules=lora["targets"], lora_dropout=lora.get("dropout", 0.0))
    with torch.device("cuda"):
        return peft.get_peft_model(model, config, autocast_adapter_dtype=lora.get("fp32", True))


def enable_checkpointing(model, case):
    """Recompute each layer; frozen weights need the embeddings to ask for gradients."""
    reentrant = bool(case.get("reentrant"))
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    if case.get("lora"):
        model.enable_input_require_grads()


def build_batch(case, config):
    """One batch; its values do not matter. No attention mask is passed."""
    size = case["batch"]

    def integers(*shape):
        return torch.zeros(shape, dtype=torch.long, device="cuda")

    if case["task"] == "image-classification":
        shape = size, config.num_channels, config.image_size, config.image_size
        return {"pixel_values": torch.empty(shape, device="cuda"), "labels": integers(size)}
    batch = {"input_ids": integers(size, case["seq"])}
    if case["task"] == "sequence-classification":
        batch["labels"] = integers(size)
    else:
        batch["labels"] = integers(size, case.get("target_seq", case["seq"]))
    return batch


def build_optimizer(case, model):
    """`name/implementation`, as the case spells it."""
    name, _, way = case["optimizer"].partition("/")
    params = [p for p in model.parameters() if p.requires_grad]
    if name in ELSEWHERE:
        package, options = ELSEWHERE[name]
        package, _, kind = package.partition(":")
        module = importlib.import_module(f"{package}.foreach" if way == "foreach" else package)
        return getattr(module, kind)(params, lr=1e-3, **options)
    kind, options = TORCH[name]
    ways = {"foreach": {"foreach": True}, "fused": {"fused": True}, "loop": {"foreach": False}}
    return getattr(torch.optim, kind)(params, lr=1e-3, **options, **ways.get(way, {}))


def autocast(case):
    """The context of the forward pass."""
    dtype = AUTOCAST.get(case["precision"])
    return torch.autocast("cuda", dtype=dtype) if dtype else contextlib.nullcontext()
