"""One rank of torch.distributed.fsdp.FullyShardedDataParallel (FSDP1), as it really runs: under transformers.Trainer, which
accelerate's variables tell of it as `accelerate launch` sets them, or in a plain loop. measure.py takes cases whose `ranks` say `fsdp1`.

`"ranks": {"fsdp1": 8, "rank": 0}`, and as FSDP has them `strategy` ("SHARD_GRAD_OP", "NO_SHARD"), `backward_prefetch` ("BACKWARD_PRE",
"BACKWARD_POST"), `forward_prefetch`, `limit_all_gathers` and `use_orig_params`; `cpu_offload`; in a loop `param_dtype` and `reduce_dtype`.
"""

import contextlib
import functools
import os

import torch
import transformers

from cases import build_batch, build_optimizer
from zero import checkpoint, join, load, OPTIMIZERS

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def layer_class(model):
    """What is wrapped: the class of the layers, which transformers names as not to be split."""
    names = set(model._no_split_modules or ())
    return {type(module) for module in model.modules() if type(module).__name__ in names}


def variables(ranks, checkpointing):
    """What `accelerate launch` sets of a YAML file's fsdp_config."""
    said = {"FSDP_VERSION": "1", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP", "ACCELERATE_USE_FSDP": "true", "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
            "FSDP_USE_ORIG_PARAMS": "true", "FSDP_SYNC_MODULE_STATES": "true"}
    for name, variable in (("strategy", "FSDP_SHARDING_STRATEGY"), ("backward_prefetch", "FSDP_BACKWARD_PREFETCH"), ("forward_prefetch", "FSDP_FORWARD_PREFETCH"),
                           ("limit_all_gathers", "FSDP_LIMIT_ALL_GATHERS"), ("use_orig_params", "FSDP_USE_ORIG_PARAMS"), ("cpu_offload", "FSDP_OFFLOAD_PARAMS")):
        if name in ranks:
            said[variable] = str(ranks[name]).lower() if isinstance(ranks[name], bool) else ranks[name]
    if checkpointing == "fsdp":
        said["FSDP_ACTIVATION_CHECKPOINTING"] = "true"
    return said


def run(case, counter, steps):
    """A training run; the model's phase has its loading and what is made of it before the first step."""
    ranks = case["ranks"]
    join({"world": ranks["fsdp1"], **ranks})
    torch.cuda.set_device(0)
    if case.get("trainer", "loop") == "loop":
        run_loop(case, counter, steps)
    else:
        run_trainer(case, counter, steps)
    counter.phase("end", steps)


def run_trainer(case, counter, steps):
    os.environ.update(variables(case["ranks"], case.get("checkpointed_by")))
    many = case.get("accumulate", 1)
    ids = [0] * case["seq"]
    rows = [{"input_ids": ids, "attention_mask": [1] * case["seq"], "labels": ids}] * (case["batch"] * many * case["ranks"]["fsdp1"] * steps)

    class Measured(transformers.Trainer):
        micro = 0

        def training_step(self, *args, **kwargs):
            self.number = self.state.global_step + 1 + (round(self.micro % many / 100, 2) if many > 1 else 0)
            self.micro += 1
            counter.phase("forward", self.number)
            return super().training_step(*args, **kwargs)

    def within(owner, name, phase):
        inner = getattr(owner, name)

        def called(*args, **kwargs):
            counter.phase(phase, trainer.number if phase == "backward" else trainer.state.global_step + 1)
            return inner(*args, **kwargs)

        setattr(owner, name, called)

    class Watch(transformers.TrainerCallback):
        def on_train_begin(self, *_, **__):
            within(trainer.accelerator, "backward", "backward")
            within(trainer.accelerator, "clip_grad_norm_", "clip")

        def on_pre_optimizer_step(self, *_, **__):
            counter.phase("optimizer", trainer.state.global_step + 1)

    with checkpoint(case) as folder:
        settings = arguments(case, steps, folder)
        model = load(case, folder)
        trainer = Measured(model, args=settings, train_dataset=rows, data_collator=transformers.default_data_collator, callbacks=[Watch()])
        trainer.train()


def arguments(case, steps, folder):
    options = dict(output_dir=folder, per_device_train_batch_size=case["batch"], max_steps=steps, report_to=[], save_strategy="no",
                   logging_steps=1, disable_tqdm=True, optim=OPTIMIZERS[case["optimizer"]], bf16=case.get("autocast") == "bf16" or case["precision"] == "bf16-autocast",
                   gradient_accumulation_steps=case.get("accumulate", 1), max_grad_norm=1.0 if case.get("clip") else 0.0)
    if case.get("checkpointing") and case.get("checkpointed_by") != "fsdp":
        options.update(gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": bool(case.get("reentrant"))})
    return transformers.TrainingArguments(**options)


def wrap(model, ranks):
    """As FSDP's tutorials do: every layer, then the model."""
    from torch.distributed.fsdp import BackwardPrefetch, FullyShardedDataParallel, MixedPrecision, ShardingStrategy
    from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy
    names = ("param_dtype", "reduce_dtype")
    mixed = MixedPrecision(**{name: DTYPES[ranks[name]] for name in names if name in ranks}) if any(name in ranks for name in names) else None
    prefetch = ranks.get("backward_prefetch")
    return FullyShardedDataParallel(
        model, auto_wrap_policy=functools.partial(transformer_auto_wrap_policy, transformer_layer_cls=layer_class(model)), mixed_precision=mixed, device_id=0,
        sharding_strategy=ShardingStrategy[ranks.get("strategy", "FULL_SHARD")], use_orig_params=ranks.get("use_orig_params", True),
        backward_prefetch=BackwardPrefetch[prefetch] if prefetch else None,
        forward_prefetch=ranks.get("forward_prefetch", False), limit_all_gathers=ranks.get("limit_all_gathers", True))


def run_loop(case, counter, steps):
    """A plain loop; the model is loaded on the host, as from_pretrained leaves it."""
    many = case.get("accumulate", 1)
    with checkpoint(case) as folder:
        model = load(case, folder)
    model = wrap(model, case["ranks"])
    if case.get("checkpointing"):
        model.gradient_checkpointing_enable({"use_reentrant": bool(case.get("reentrant"))})
    model.train()
    optimizer = build_optimizer(case, model)
    for step in range(1, steps + 1):
        for part in range(many):
            number = round(step + part / 100, 2) if "accumulate" in case else step
            counter.phase("input", number)
            micro_batch(case, model, counter, number, case.get("no_sync") and part + 1 < many)
        if case.get("clip"):
            counter.phase("clip", step)
            model.clip_grad_norm_(1.0)
        counter.phase("optimizer", step)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def micro_batch(case, model, counter, number, apart):
    batch = build_batch(case, model.module.config)
    counter.phase("forward", number)
    with model.no_sync() if apart else contextlib.nullcontext():
        loss = model(**batch).loss
        if case.get("accumulate"):
            loss = loss / case["accumulate"]
        counter.phase("backward", number)
        loss.backward()
