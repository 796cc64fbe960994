"""From a case (a JSON object) to a model, batches, an optimizer and a step."""

import contextlib
import importlib
import fnmatch

import torch
import transformers
from transformers.models.auto.configuration_auto import model_type_to_module_name

import device
import fused
import preference
from experts import run_in_a_loop
from images import image_inputs

AUTO = {
    "causal-lm": "AutoModelForCausalLM",
    "masked-lm": "AutoModelForMaskedLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "seq2seq-lm": "AutoModelForSeq2SeqLM",
    "image-classification": "AutoModelForImageClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "multiple-choice": "AutoModelForMultipleChoice",
    "pre-training": "AutoModelForPreTraining",
    "feature-extraction": "AutoModel",
    "image-text-to-text": "AutoModelForImageTextToText",
    "contrastive": "AutoModelForZeroShotImageClassification",
}
SOUND = {"whisper": "AutoModelForSpeechSeq2Seq"}  # those that hear and write
AS_WEIGHTS = ("beit", "convnext")  # these cast no images
COMPUTE = {"bf16": torch.bfloat16, "bf16-autocast": torch.bfloat16, "fp16": torch.float16, "fp16-autocast": torch.float16}
WEIGHTS = {"bf16": torch.bfloat16, "fp16": torch.float16}
DTYPE = "torch_dtype" if transformers.__version__.startswith("4") else "dtype"  # what from_config calls it
ATTENTION = {"flash2": "flash_attention_2"}
AUTOCAST = {"bf16-autocast": torch.bfloat16, "fp16-autocast": torch.float16}

# Optimizers: the class in torch.optim, or module:class elsewhere, and its options.
TORCH = {
    "adamw": ("AdamW", {}), "adam": ("Adam", {}), "sgd": ("SGD", {}), "sgd-momentum": ("SGD", {"momentum": 0.9}),
    "adagrad": ("Adagrad", {}), "rmsprop": ("RMSprop", {}), "torch-adafactor": ("Adafactor", {}),
    "nadam": ("NAdam", {}), "radam": ("RAdam", {}), "adamax": ("Adamax", {}), "adadelta": ("Adadelta", {}),
    "asgd": ("ASGD", {}), "muon": ("Muon", {}),
}
BITSANDBYTES = ("bit", "bnb", "ademamix")  # in the names of its optimizers
ELSEWHERE = {
    "adafactor": ("transformers:Adafactor", {"scale_parameter": False, "relative_step": False}),
    "lion": ("lion_pytorch:Lion", {}),
}


def load_libraries(case):
    """Import what the case will need and what is slow to import; none of it changes anything by being imported."""
    if not device.HAS_KERNELS:  # with them positions are read as zeros, which are few enough
        device.know_positions()
    family = model_type_to_module_name(case["config"]["model_type"])
    importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    if case.get("objective"):
        preference.trainer_of(case)
    for library, needed in (("peft", case.get("lora")), ("quantized", case.get("quantize"))):
        if needed:
            importlib.import_module(library)


def build_config(case):
    """The Hugging Face config; absent fields have its model's defaults."""
    fields = dict(case["config"])
    return transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)


def build_model(case, phase=lambda name: None):
    """The model in training mode on the fake device, with LoRA and checkpointing; `load` has a phase of its own."""
    phase("load" if case.get("load") else "model")
    config = build_config(case)
    for part in (config, config.get_text_config()):  # a model of text and images asks that of its text model
        part.use_cache = bool(case.get("use_cache"))
    auto = getattr(transformers, SOUND.get(config.model_type) or AUTO[case["task"]])
    dtype = (COMPUTE if case.get("quantize") else WEIGHTS).get(case["precision"], torch.float32)
    with torch.device("cpu" if case.get("load") or stays_on_host(case) else "cuda"):
        model = auto.from_config(
            config, attn_implementation=ATTENTION.get(case["attention"], case["attention"]), **{DTYPE: dtype})
    keep_in_fp32(model, dtype)
    if config.model_type == "convnext":
        set_drop_paths(model, config.drop_path_rate)
    fused.apply(case, model)
    if case.get("quantize"):
        from quantized import quantize  # its libraries are slow to import
        quantize(model, case, COMPUTE.get(case["precision"], torch.float32))
        mark_quantized(model, dtype)
    if case.get("load"):
        phase("model")
    if case.get("experts") == "loop":
        run_in_a_loop(model, case.get("imbalance", 1), case.get("busiest", 0))
    if case.get("lora"):
        model = add_lora(model, case["lora"], "cpu" if stays_on_host(case) else "cuda")
        if case.get("quantize"):
            convert_beside_quantized(model, case.get("trainer"))
    if case.get("freeze"):
        freeze(model, case["freeze"])
    if case.get("objective", "grpo") != "grpo":
        preference.disable_dropout(model)
    if case.get("checkpointing"):
        enable_checkpointing(model, case)
    return model.train()


def stays_on_host(case):
    """Whether it is a trainer's model that will be sharded, which moves it unit by unit."""
    return case.get("trainer", "loop") != "loop" and "fsdp" in (case.get("ranks") or {})


def keep_in_fp32(model, dtype):
    """from_pretrained's dtypes, of which from_config has no plan: T5's `wo` stays in fp32 where the rest is fp16, and so
    does a buffer of DeepSeek-V3's router."""
    plan = model._get_dtype_plan(dtype) if hasattr(model, "_get_dtype_plan") else {}
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in plan:
            module.to(plan[name.rpartition(".")[2]])
        for key, buffer in module._buffers.items():
            if key in plan:
                module._buffers[key] = buffer.to(plan[key])


def set_drop_paths(model, rate):
    """A layer's rate is read back from a tensor of numbers between 0 and the last one's, which is unknown on shapes."""
    layers = [module for module in model.modules() if hasattr(module, "drop_path")]
    for i, layer in enumerate(layers):
        own = rate * i / max(len(layers) - 1, 1)
        layer.drop_path = type(layer.drop_path)(own) if own > 0.0 else torch.nn.Identity()


def mark_quantized(model, dtype):
    """By what flash attention finds the dtype to cast to beside packed weights: integrations/flash_attention.py,
    get_target_dtype; in 4.48 the models ask for _pre_quantization_dtype."""
    model.config._pre_quantization_dtype = dtype
    for module in model.modules():
        if isinstance(module, transformers.PreTrainedModel):
            module.config._is_quantized = True


def freeze(model, patterns):
    """Parameters whose name matches one of the globs are not trained."""
    for name, parameter in model.named_parameters():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            parameter.requires_grad_(False)


def add_lora(model, lora, device):
    """Adapters as PEFT makes them: in fp32 over half weights unless told otherwise."""
    import peft
    config = peft.LoraConfig(r=lora["r"], target_modules=lora["targets"], lora_dropout=lora.get("dropout", 0.0),
                             modules_to_save=lora.get("save"), task_type=lora.get("task_type"))
    with torch.device(device):
        return peft.get_peft_model(model, config, autocast_adapter_dtype=lora.get("fp32", True))


def convert_beside_quantized(model, trainer):
    """What SFTTrainer does to a quantized model with adapters."""
    if trainer == "trl":  # trl/trainer/sft_trainer.py, 1.16
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.bfloat16)
    if trainer in ("trl-0.13", "trl-0.11"):
        from trl.trainer.utils import peft_module_casting_to_bf16
        peft_module_casting_to_bf16(model)


def enable_checkpointing(model, case):
    """Recompute each layer; frozen weights need the embeddings to ask for gradients."""
    reentrant = bool(case.get("reentrant"))
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    if case.get("lora"):
        model.enable_input_require_grads()


def build_batch(case, config):
    """One batch; its values do not matter. No attention mask is passed."""
    if case.get("objective"):
        return preference.build_batch(case)
    size = case["batch"]

    def integers(*shape):
        return torch.zeros(shape, dtype=torch.long, device="cuda")

    tokens = size, case.get("seq")  # none in an image or a sound
    if case["task"] == "multiple-choice":
        tokens = size, case.get("choices", 4), case["seq"]
    seen = config if case.get("images") else getattr(config, "vision_config", config)
    if getattr(seen, "image_size", None):
        shape = size, seen.num_channels, seen.image_size, seen.image_size
        batch = {"pixel_values": torch.empty(shape, dtype=image_dtype(case, config), device="cuda")}
        if case["task"] == "contrastive":
            batch |= {"input_ids": integers(*tokens), "return_loss": True}
    elif config.model_type in SOUND:
        batch = {"input_features": sound(case, config)}
    else:
        batch = {"input_ids": integers(*tokens)}
    if case.get("images"):
        batch |= image_inputs(case, config)
    task = case["task"]
    if task in ("sequence-classification", "image-classification"):
        batch["labels"] = class_labels(size, config)
    elif task == "question-answering":
        batch |= {"start_positions": integers(size), "end_positions": integers(size)}
    elif task == "multiple-choice":
        batch["labels"] = integers(size)
    elif task not in ("feature-extraction", "contrastive"):
        batch["labels"] = integers(size, case["target_seq"] if "target_seq" in case else case["seq"])
    if task == "pre-training" and config.model_type == "bert":
        batch["next_sentence_label"] = integers(size)
    return batch


def image_dtype(case, config):
    """What a processor makes, or the weights' dtype where a model does not cast."""
    return WEIGHTS.get(case["precision"]) if config.model_type in AS_WEIGHTS and not case.get("quantize") else None


def sound(case, config):
    """Two mel frames for each of the encoder's sequence, in the weights' dtype, which its first layer wants."""
    dtype = WEIGHTS.get(case["precision"], torch.float32)
    shape = case["batch"], config.num_mel_bins, 2 * config.max_source_positions
    return torch.empty(shape, dtype=torch.float32 if case.get("quantize") else dtype, device="cuda")


def class_labels(size, config):
    """Labels as the loss of the config's problem_type wants them (loss_utils.py, ForSequenceClassificationLoss)."""
    problem = config.problem_type or ("regression" if config.num_labels == 1 else "single_label_classification")
    if problem == "single_label_classification":
        return torch.zeros(size, dtype=torch.long, device="cuda")
    alone = problem == "regression" and config.num_labels == 1
    return torch.zeros(size if alone else (size, config.num_labels), device="cuda")


def loss_of(case, outputs):
    """The model's own loss; of a bare encoder or decoder, which has none, the mean of its last hidden states."""
    return outputs.last_hidden_state.mean() if case["task"] == "feature-extraction" else outputs.loss


class Both:
    """Two optimizers that step one after the other."""

    def __init__(self, *optimizers):
        self.optimizers = optimizers

    @property
    def state(self):
        return {p: s for optimizer in self.optimizers for p, s in optimizer.state.items()}

    def step(self):
        for optimizer in self.optimizers:
            optimizer.step()

    def zero_grad(self, **options):
        for optimizer in self.optimizers:
            optimizer.zero_grad(**options)


def build_optimizer(case, model):
    """What a case says: one optimizer, or for matrices one and for the rest another."""
    params = [p for p in model.parameters() if p.requires_grad]
    if not case.get("rest"):
        return one_optimizer(case["optimizer"], params, case, model)
    layers = {id(p) for each in model.modules() if isinstance(each, torch.nn.ModuleList) for p in each.parameters()}
    everywhere = case.get("matrices", "hidden") == "all"
    matrices = [p for p in params if p.ndim == 2 and (everywhere or id(p) in layers)]
    taken = {id(p) for p in matrices}
    rest = [p for p in params if id(p) not in taken]
    return Both(one_optimizer(case["optimizer"], matrices, case, model), one_optimizer(case["rest"], rest, case, model))


def one_optimizer(spelled, params, case, model):
    """`name/implementation`, as the case spells it."""
    name, _, way = spelled.partition("/")
    if any(word in name for word in BITSANDBYTES):
        import low_bit  # its library is slow to import
        return low_bit.build(name, params, model, case.get("trainer", "loop") != "loop")
    if name in ELSEWHERE:
        package, options = ELSEWHERE[name]
        package, _, kind = package.partition(":")
        module = importlib.import_module(f"{package}.foreach" if way == "foreach" else package)
        return getattr(module, kind)(params, lr=1e-3, **options)
    kind, options = TORCH[name]
    ways = {"foreach": {"foreach": True}, "fused": {"fused": True}, "loop": {"foreach": False}}
    return getattr(torch.optim, kind)(params, lr=1e-3, **options, **ways.get(way, {}))


def autocast_dtype(case):
    """What autocast runs in over weights of any dtype, if at all: by its own key, or by the precision's name."""
    return WEIGHTS[case["autocast"]] if case.get("autocast") else AUTOCAST.get(case["precision"])


def autocast(case):
    """The context of the forward pass."""
    dtype = autocast_dtype(case)
    return torch.autocast("cuda", dtype=dtype) if dtype else contextlib.nullcontext()
