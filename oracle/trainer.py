"""A step as a trainer runs it: transformers.Trainer's own training_step and compute_loss on a stand-in for the rest.

`"trainer": "hf"`: all micro-batches of a step are there before the first runs, with an attention mask of ones, and
go when those of the next step have come (Trainer._inner_training_loop); the model's outputs are made fp32 in mixed
precision (accelerate's prepare_model).
"""

import contextlib
import functools
import inspect
import types

import torch
import transformers
from accelerate.utils import DistributedType, convert_outputs_to_fp32
from transformers.utils.generic import find_labels

import grpo
import preference
from cases import autocast_dtype


def wrap(case, model, context):
    """What accelerate's prepare_model does to the forward pass in mixed precision."""
    if autocast_dtype(case) is not None:
        inner = model.forward
        function = inner.__func__

        @functools.wraps(function)
        def forward(self, *args, **kwargs):
            with context(case):
                return function(self, *args, **kwargs)

        model.forward = types.MethodType(convert_outputs_to_fp32(forward), model)


def gather(ranks):
    """accelerate's gather of a number (utils/operations.py, _gpu_gather_one) from ranks that are not there."""
    def gathered(number):
        own = number.clone()[None]
        return torch.empty(ranks * own.numel(), dtype=own.dtype, device=own.device).view(-1)
    return gathered


def shifts_labels(model):
    """Whether Trainer finds that the model's loss shifts labels (5.23, Trainer.__init__): a GPT2LMHeadModel's name tells
    of no loss. Older ones count all labels."""
    if OLD:
        return False
    from transformers.loss.loss_utils import LOSS_MAPPING
    found = LOSS_MAPPING.get(getattr(model, "loss_type", None)) is LOSS_MAPPING["ForCausalLM"]
    return found and not model.config.is_encoder_decoder


def stand_in(case, model):
    """A Trainer without data, callbacks and other devices: what its training_step asks for."""
    ranks = case.get("ranks", {}).get("ddp", 1) * case.get("ranks", {}).get("fsdp", 1)
    kind = DistributedType.NO if ranks == 1 else DistributedType.MULTI_GPU if "ddp" in case["ranks"] else DistributedType.FSDP
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    parameters = inspect.signature(type(base).forward).parameters.values()
    accepts = getattr(base, "accepts_loss_kwargs", any(p.kind == p.VAR_KEYWORD for p in parameters))
    accelerator = types.SimpleNamespace(backward=lambda loss, **kwargs: loss.backward(), parallelism_config=None,
                                        distributed_type=kind, num_processes=ranks, gather=gather(ranks))
    arguments = types.SimpleNamespace(torch_empty_cache_steps=None, n_gpu=1, optim="adamw_torch",
                                      average_tokens_across_devices=not OLD, world_size=ranks, device=None,
                                      past_index=-1, gradient_accumulation_steps=case.get("accumulate", 1))
    self = types.SimpleNamespace(
        accelerator=accelerator, args=arguments, optimizer=None, label_smoother=None, compute_loss_func=None,
        model_accepts_loss_kwargs=accepts, loss_is_scaled_for_ga=None, state=types.SimpleNamespace(global_step=0),
        current_gradient_accumulation_steps=case.get("accumulate", 1), get_tp_size=lambda: 1, get_cp_size=lambda: 1,
        get_sp_size=lambda: 1, _loss_shifts_labels=shifts_labels(base), label_names=find_labels(type(base)),
        can_return_loss=False, model=model,
        _prepare_context_parallel_inputs=lambda model, inputs: (contextlib.nullcontext, inputs),
        _prepare_inputs=lambda inputs: inputs, compute_loss_context_manager=contextlib.nullcontext)
    self.use_apex = False  # asked by 4.48
    trainer = trainer_of(case)
    self.loss_is_scaled_for_ga = getattr(trainer, "loss_is_scaled_for_ga", None)
    if case.get("objective"):
        preference.prepare(case, self, model, accelerator)
    elif case["trainer"] == "trl":
        prepare_sft(self, model, accelerator)
    self.compute_loss = types.MethodType(trainer.compute_loss, self)
    for name in ("training_step", "get_batch_samples", "_get_num_items_in_batch"):
        if hasattr(transformers.Trainer, name):
            setattr(self, name, types.MethodType(getattr(transformers.Trainer, name), self))
    return self


def trainer_of(case):
    """The class whose methods a step runs."""
    if case["trainer"] != "trl":
        return transformers.Trainer
    if case.get("objective"):
        return preference.trainer_of(case)
    from trl import SFTTrainer
    return SFTTrainer


def prepare_sft(self, model, accelerator):
    """What SFTTrainer.compute_loss asks for besides; its loss never builds the logits (a case's `"loss": "chunked"`)."""
    import collections
    self.model, self.aux_loss_enabled, self._total_train_tokens, self._tp_size = model, False, 0, 1
    self._metrics = {mode: collections.defaultdict(list) for mode in ("train", "eval")}
    self.args.loss_type = "nll"
    accelerator.gather_for_metrics = accelerator.gather if accelerator.num_processes > 1 else lambda x: x


OLD = transformers.__version__.startswith("4")


def backward(loss):
    """accelerate's (1.15, Accelerator.backward), which divides by its own number of micro-batches, 1."""
    loss = loss / 1
    loss.backward()


class Loop:
    """The inner training loop: what it names lives from step to step."""

    def __init__(self, case, model, context):
        inner = getattr(model, "module", model)  # accelerate wraps its forward pass before DDP wraps the model
        if "fsdp" not in case.get("ranks", {}):  # there is a policy in the place of autocast
            wrap(case, inner, context)
        self.case, self.trainer = case, stand_in(case, inner)
        self.reference = getattr(self.trainer, "ref_model", None)
        if self.reference is not None:
            wrap(case, self.reference, context)
        self.batches = self.inputs = self.items = self.step = self.norm = None
        self.loss = torch.zeros((), device="cuda")

    def reference_parameters(self):
        """Those of a second model."""
        return [] if self.reference is None else self.reference.parameters()

    def micro_batches(self, make, many):
        """The batches of a step, and how many labels they have."""
        if hasattr(self.trainer, "make_inputs"):
            self.batches = self.inputs = None  # those of the last step are buffered until there are others
            self.batches = grpo.micro_batches(self.case, self.trainer)
            return
        batches = [make() for _ in range(many)]
        for batch in batches:
            if "input_ids" in batch and "attention_mask" not in batch:
                batch["attention_mask"] = torch.ones_like(batch["input_ids"])
        if not hasattr(self.trainer, "get_batch_samples"):
            self.batches = batches
            return
        device = () if OLD else (None,)
        self.batches, self.items = self.trainer.get_batch_samples(iter(batches), many, *device)

    def run(self, model, part):
        """One micro-batch."""
        self.inputs = self.batches[part]
        items = (self.items,) if hasattr(self.trainer, "get_batch_samples") else ()  # up to 4.45 nobody counts labels
        self.step = self.trainer.training_step(model, self.inputs, *items)
        self.loss += self.step

    def clip(self, case, model, begin):
        """The norm of the gradients, which Trainer reports. From 5 on it is taken where nothing is clipped, too, and the
        last one goes before; until then it goes when the next is there."""
        if OLD and not case.get("clip"):
            return
        begin()
        if not OLD:
            self.norm = None
        self.norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0 if case.get("clip") else float("inf"))
