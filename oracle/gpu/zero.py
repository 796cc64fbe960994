"""One rank of DeepSpeed's ZeRO under transformers.Trainer, as it really runs: measure.py takes cases whose `ranks` say `zero`.

`"ranks": {"zero": 2, "world": 8, "rank": 0, "reduce_bucket": 1048576}`, and as DeepSpeed's JSON has them `overlap_comm`,
`round_robin_gradients`, `grad_accum_dtype`; `one_group`: the optimizer is the JSON's own; `offload_optimizer` and `offload_param`:
"pinned" or "pageable"; of stage 3 `prefetch_bucket`, `persistence_threshold`, `max_live`, `max_reuse` and `sub_group`. The other ranks do not exist: torch's "fake" process group succeeds and moves nothing.
"""

import contextlib
import json
import os
import shutil
import tempfile

import torch
import torch.distributed as dist
import transformers

from cases import AUTO, build_config, WEIGHTS

OPTIMIZERS = {"adamw/fused": "adamw_torch_fused", "adamw/foreach": "adamw_torch", "adamw_8bit": "adamw_bnb_8bit", "paged_adamw_8bit": "paged_adamw_8bit",
              "paged_adamw_32bit": "paged_adamw_32bit", "lion_8bit": "lion_8bit", "adafactor": "adafactor", "sgd/foreach": "sgd"}


def join(ranks):
    """The process group, and what objects are told of other ranks: each has this one's."""
    from torch.testing._internal.distributed.fake_pg import FakeStore
    world, rank = str(ranks["world"]), str(ranks.get("rank", 0))
    os.environ.update(RANK=rank, LOCAL_RANK="0", WORLD_SIZE=world, LOCAL_WORLD_SIZE=world, MASTER_ADDR="127.0.0.1", MASTER_PORT="29555",
                      DS_ACCELERATOR="cuda", DS_BUILD_OPS="0", ACCELERATE_LOG_LEVEL="error", HF_HUB_OFFLINE="1")
    dist.init_process_group("fake", store=FakeStore(), rank=int(rank), world_size=int(world))

    def gathered(objects, object, *_, **__):
        objects[:] = [object] * len(objects)

    for module in (dist, dist.distributed_c10d):
        module.all_gather_object, module.broadcast_object_list = gathered, lambda *_, **__: None
    dist.monitored_barrier = lambda *_, **__: None


class Kernels:
    """DeepSpeed compiles its Adams when they are first used, which needs CUDA's compiler; they allocate nothing."""

    def __getattr__(self, name):
        return (lambda *_: 1) if name.startswith(("create", "destroy")) else (lambda *_: None)


STAGE_3 = {"prefetch_bucket": "stage3_prefetch_bucket_size", "persistence_threshold": "stage3_param_persistence_threshold",
           "max_live": "stage3_max_live_parameters", "max_reuse": "stage3_max_reuse_distance", "sub_group": "sub_group_size"}


def prepare_deepspeed():
    """Its kernels stood in for, and its resets of the allocator's peaks left out: phases have them."""
    import deepspeed.ops.adam.cpu_adam
    import deepspeed.ops.adam.fused_adam
    from deepspeed.accelerator import get_accelerator
    from deepspeed.ops.op_builder import CPUAdamBuilder, FusedAdamBuilder
    for owner in (deepspeed.ops.adam.cpu_adam, deepspeed.ops.adam.fused_adam):
        for builder in (CPUAdamBuilder, FusedAdamBuilder, *(getattr(owner, name) for name in ("CPUAdamBuilder", "FusedAdamBuilder") if hasattr(owner, name))):
            builder.load = lambda self, *_: Kernels()
    get_accelerator().reset_peak_memory_stats = get_accelerator().reset_max_memory_allocated = lambda *_: None


def deepspeed_json(case):
    """What a user would write."""
    ranks = case["ranks"]
    zero = {"stage": ranks["zero"], "reduce_bucket_size": ranks.get("reduce_bucket", 500000000)}
    zero.update({name: ranks[name] for name in ("overlap_comm", "round_robin_gradients") if name in ranks})
    zero.update({name: ranks[own] for own, name in STAGE_3.items() if own in ranks})
    for name in ("offload_optimizer", "offload_param"):
        if name in ranks:
            zero[name] = {"device": "cpu", "pin_memory": ranks[name] == "pinned"}
    auto = ("gradient_accumulation_steps", "gradient_clipping", "train_batch_size", "train_micro_batch_size_per_gpu")
    config = {"bf16": {"enabled": "auto"}, "zero_optimization": zero, **dict.fromkeys(auto, "auto")}
    if ranks.get("one_group"):
        config["optimizer"] = {"type": "AdamW", "params": {"lr": "auto", "weight_decay": "auto"}}
    if "grad_accum_dtype" in ranks:
        config["data_types"] = {"grad_accum_dtype": ranks["grad_accum_dtype"]}
    return config


@contextlib.contextmanager
def checkpoint(case):
    """A folder with a checkpoint of zeros that takes no disk: a sparse safetensors file."""
    config, auto = build_config(case), getattr(transformers, AUTO[case["task"]])
    config.use_cache = False
    with torch.device("meta"):
        model = auto.from_config(config, dtype=torch.bfloat16)
    header, at, seen = {"__metadata__": {"format": "pt"}}, 0, set()
    for name, parameter in model.state_dict(keep_vars=True).items():
        if id(parameter) in seen:
            continue
        seen.add(id(parameter))
        kind = {torch.bfloat16: "BF16", torch.float32: "F32", torch.int64: "I64", torch.bool: "BOOL"}[parameter.dtype]
        header[name] = {"dtype": kind, "shape": list(parameter.shape), "data_offsets": [at, at + parameter.nbytes]}
        at += parameter.nbytes
    text = json.dumps(header).encode()
    folder = tempfile.mkdtemp()
    try:
        with open(f"{folder}/model.safetensors", "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(8 + len(text) + at)
        config.architectures = [type(model).__name__]  # asked for by who loads a model by its path
        config.save_pretrained(folder)
        yield folder
    finally:
        shutil.rmtree(folder)


def load(case, folder):
    auto = getattr(transformers, AUTO[case["task"]])
    model = auto.from_pretrained(folder, dtype=WEIGHTS.get(case["precision"], torch.float32), attn_implementation=case["attention"])
    model.config.use_cache = False
    if case.get("lora"):
        import peft
        lora = case["lora"]
        model = peft.get_peft_model(model, peft.LoraConfig(r=lora["r"], target_modules=lora["targets"], lora_dropout=lora.get("dropout", 0.0), task_type="CAUSAL_LM"))
        if case.get("checkpointing"):
            model.enable_input_require_grads()
    return model


def arguments(case, steps, folder):
    options = dict(output_dir=folder, per_device_train_batch_size=case["batch"], max_steps=steps, report_to=[], save_strategy="no",
                   logging_steps=1, disable_tqdm=True, optim=OPTIMIZERS[case["optimizer"]], bf16=True, deepspeed=deepspeed_json(case),
                   gradient_accumulation_steps=case.get("accumulate", 1), max_grad_norm=1.0 if case.get("clip") else 0.0)
    if case.get("eval_batch"):
        options.update(per_device_eval_batch_size=case["eval_batch"])
    if case.get("checkpointing"):
        options.update(gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": bool(case.get("reentrant"))})
    return transformers.TrainingArguments(**options)


def run(case, counter, steps):
    """A training run; the model's phase has its loading and deepspeed.initialize."""
    join(case["ranks"])
    prepare_deepspeed()
    many = case.get("accumulate", 1)
    ids = [0] * case["seq"]
    rows = [{"input_ids": ids, "attention_mask": [1] * case["seq"], "labels": ids}] * (case["batch"] * many * case["ranks"]["world"] * steps)

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
            number = trainer.number if phase == "backward" else trainer.state.global_step + 1
            counter.phase(phase, number)
            result = inner(*args, **kwargs)
            counter.phase("rest", number)
            return result

        setattr(owner, name, called)

    class Watch(transformers.TrainerCallback):
        def on_train_begin(self, *_, **__):
            engine = trainer.accelerator.deepspeed_engine_wrapped.engine
            within(engine, "backward", "backward")
            within(engine, "step", "optimizer")

    with checkpoint(case) as folder:
        settings = arguments(case, steps, folder)
        model = load(case, folder)
        trainer = Measured(model, args=settings, train_dataset=rows, data_collator=transformers.default_data_collator, callbacks=[Watch()])
        trainer.train()
        if case.get("eval_batch"):
            counter.phase("evaluate", steps)
            trainer.evaluate(rows[:1] * (case["eval_batch"] * case.get("eval_batches", 1) * case["ranks"]["world"]))
    counter.phase("end", steps)
