#!/usr/bin/env python3
"""One rank of a torchtitan run (0.2.2): its own model, parallelize function and loop, on shapes.

    titan.py CASES.jsonl [-o OUT.jsonl] [--trace DIR] [--only N,N]

Needs an environment with the pinned torch, the fake device (PEAKMEM_FAKE_CUDA) and torchtitan installed without its
dependencies, which are stood in for: they read data and settings. Cases and records are those of tests/data/torchtitan.jsonl.
"""

import argparse
import dataclasses
import importlib.machinery
import json
import os
import pathlib
import sys
import types
import typing

import device  # first: it loads the fake CUDA device before torch

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import _disable_current_modes

import ranks
from count import Counter
from report import make_record, write_trace


class _Anything(type(typing.Protocol)):
    """Classes that have whatever is asked of them."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _anything(name)


def _anything(name):
    return _Anything(name, (), {"__getitem__": lambda self, grid: lambda *a, **k: None,
                                "__init__": lambda self, *a, **k: None, "__call__": lambda self, *a, **k: self,
                                "__class_getitem__": classmethod(lambda c, i: c)})


class _StandIn(types.ModuleType):
    """A library that is imported and never asked anything that matters."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _anything(name)


class _Finder:
    """Finds a stand-in for what is not installed."""
    NAMES = ("tyro", "datasets", "torchdata", "tokenizers", "tomli", "tensorboard", "wandb", "torchao")

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.NAMES:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return _StandIn(spec.name)

    def exec_module(self, module):
        module.__path__ = []


sys.meta_path.append(_Finder())
import torch._dynamo  # noqa: E402  (it asks for triton, and must not be given the stand-in)
_Finder.NAMES += ("triton",)
torch.compile = lambda model=None, **kwargs: model  # nothing here is compiled


def _sdpa(kernel):
    """scaled_dot_product_attention as the GPU of a record has it: cuDNN's where torchtitan asks for it first."""
    def attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
        if kernel == "cudnn":
            return torch.ops.aten._scaled_dot_product_cudnn_attention(
                query, key, value, None, torch.is_grad_enabled(), dropout_p, is_causal, False, scale=scale)[0]
        return torch.ops.aten._scaled_dot_product_flash_attention(
            query, key, value, dropout_p, is_causal, False, scale=scale)[0]
    return attention


def _quiet_init():
    """Initial values change no byte that lives."""
    for name in ("normal_", "trunc_normal_", "uniform_", "kaiming_uniform_", "ones_", "zeros_"):
        setattr(torch.nn.init, name, lambda tensor, *a, **k: tensor)
    import torchtitan.models.utils as utils
    utils.trunc_normal_ = lambda tensor, *a, **k: tensor
    for module in [m for n, m in sys.modules.items() if n.startswith("torchtitan.models") and m]:
        if hasattr(module, "trunc_normal_"):
            module.trunc_normal_ = utils.trunc_normal_


def job_config(case):
    """The settings that decide what runs."""
    from torchtitan.config.job_config import JobConfig
    config = JobConfig()
    r = case["ranks"]
    config.training.seq_len, config.training.local_batch_size = case["seq"], case["batch"]
    config.training.dtype = case["precision"]["dtype"]
    config.training.mixed_precision_param = case["precision"]["param"]
    config.training.mixed_precision_reduce = case["precision"]["reduce"]
    config.training.max_norm = case.get("clip") or 0
    p = config.parallelism
    p.data_parallel_replicate_degree, p.data_parallel_shard_degree = r.get("dp_replicate", 1), r.get("dp_shard", 1)
    p.tensor_parallel_degree, p.context_parallel_degree = r.get("tp", 1), r.get("cp", 1)
    p.pipeline_parallel_degree = r.get("pp", 1)
    p.expert_parallel_degree, p.expert_tensor_parallel_degree = r.get("ep", 1), r.get("etp", 1)
    p.disable_loss_parallel = not case.get("loss_parallel", False)
    p.fsdp_reshard_after_forward = case.get("reshard_after_forward", "default")
    if "schedule" in case:
        p.pipeline_parallel_schedule = case["schedule"]
        p.pipeline_parallel_microbatch_size = case["batch"] // case["microbatches"]
    ac = case["checkpointing"]
    config.activation_checkpoint.mode = ac if ac in ("none", "full") else "selective"
    if ac.startswith("selective-"):
        config.activation_checkpoint.selective_ac_option = ac.removeprefix("selective-")
    config.optimizer.implementation = case["optimizer"].split("/")[1]
    config.optimizer.name = {"adamw": "AdamW", "adam": "Adam"}[case["optimizer"].split("/")[0]]
    config.compile.enable = False
    return config


def model_args(case, spec, config):
    args = dataclasses.replace(spec.model_args[case["flavor"]])
    for name, value in case.get("override", {}).items():
        setattr(args, name, value)
    args.update_from_config(config)
    return args


def process_group(case):
    from torch.testing._internal.distributed.fake_pg import FakeStore
    world = 1
    for name in ("dp_replicate", "dp_shard", "tp", "pp", "cp"):
        world *= case["ranks"].get(name, 1)
    if dist.is_initialized():
        dist.destroy_process_group()
    dist.init_process_group("fake", store=FakeStore(), rank=case.get("rank", 0), world_size=world)
    return world


def dimensions(case, world):
    from torchtitan.distributed import ParallelDims
    r = case["ranks"]
    dims = ParallelDims(dp_replicate=r.get("dp_replicate", 1), dp_shard=r.get("dp_shard", 1), cp=r.get("cp", 1),
                        tp=r.get("tp", 1), pp=r.get("pp", 1), ep=r.get("ep", 1), etp=r.get("etp", 1), world_size=world)
    with _disable_current_modes():
        dims.build_mesh()
    return dims


class Names:
    pass


def run(case, counter, steps):
    """The run; returns the numbers of all parameters and of this rank's."""
    from torchtitan.protocols.train_spec import get_train_spec
    import torchtitan.distributed.utils as dist_utils
    from torchtitan.config import TORCH_DTYPE_MAP
    from torchtitan.tools import utils
    spec = get_train_spec(case["model"])
    _quiet_init()
    config = job_config(case)
    world = process_group(case)
    dims = dimensions(case, world)
    args = model_args(case, spec, config)
    cuda = torch.device("cuda", 0)
    with torch.device("meta"), utils.set_default_dtype(TORCH_DTYPE_MAP[config.training.dtype]):
        model = spec.model_cls(args)
    whole = sum(p.numel() for p in model.parameters())
    widths = sorted({m.w1.out_features for m in model.modules() if type(m).__name__ == "FeedForward"})
    case["config"] = {**dataclasses.asdict(args), "ffn_hidden_dims": widths}
    loss_fn = spec.build_loss_fn(config, parallel_dims=dims)
    schedule, first, last = None, True, True
    if dims.pp_enabled:
        _stages(case, args, TORCH_DTYPE_MAP[config.training.mixed_precision_param])
        schedule, parts, first, last = spec.pipelining_fn(model, dims, config, cuda, args, spec.parallelize_fn, loss_fn)
        del model
    else:
        parts = [spec.parallelize_fn(model, dims, config)]
        del model
    for part in parts:
        part.to_empty(device="cuda")
        with torch.no_grad():
            part.init_weights(buffer_device=None)
        part.train()
    parameters = [p for part in parts for p in part.parameters()]
    counter.label((getattr(p, "_local_tensor", p) for p in parameters), "parameter")
    counter.label((b for part in parts for b in part.buffers()), "buffer")
    optimizers = spec.build_optimizers_fn(parts, config.optimizer, dims)
    loss_parallel = dims.tp_enabled and not config.parallelism.disable_loss_parallel
    context = dist_utils.get_train_context(loss_parallel)
    amp = dist_utils.maybe_enable_amp(dims, config.training.mixed_precision_param, "cuda")
    counter.phase("model", 1)
    n = Names()
    for step in range(1, steps + 1):
        train_step(case, config, dims, parts, schedule, first, last, optimizers, loss_fn, context, amp, counter, step, n)
    counter.phase("end", steps)
    return whole, sum(getattr(p, "_local_tensor", p).numel() for p in parameters)


def train_step(case, config, dims, parts, schedule, first, last, optimizers, loss_fn, context, amp, counter, step, n):
    import torchtitan.distributed.utils as dist_utils
    from torchtitan.distributed.context_parallel import prepare_context_parallel_input
    cuda = torch.device("cuda", 0)
    counter.phase("input", step)
    optimizers.zero_grad()
    shape = (case["batch"], case["seq"])
    labels = torch.empty(shape, dtype=torch.int64)
    inputs = torch.empty(shape, dtype=torch.int64)
    local_valid_tokens = torch.tensor(0, dtype=torch.int64)
    local_valid_tokens = local_valid_tokens.to(cuda)
    if dims.dp_enabled:
        tokens = dist_utils.dist_sum(local_valid_tokens, dims.get_mesh("batch"))
    else:
        tokens = local_valid_tokens.float()
    n.tokens = tokens
    del local_valid_tokens
    inputs = inputs.to(cuda)
    labels = labels.to(cuda)
    extra = {}
    loss = None
    if dims.cp_enabled:
        inputs, labels, extra = prepare_context_parallel_input(
            inputs, labels, extra, dims.get_mesh("cp"), cuda, config.parallelism.context_parallel_load_balancer)
    if dims.pp_enabled:
        counter.phase("pipeline", step)
        with context():
            n.targets, n.losses = (labels, []) if last else (None, None)  # the trainer's loop names them to the next step
            given = (inputs,) if first else ()
            schedule.step(*given, **extra, target=n.targets, losses=n.losses, return_outputs=False)
        loss = torch.sum(torch.stack(n.losses)) / tokens if last else torch.tensor([-1.0], device=cuda)
    else:
        counter.phase("forward", step)
        with context():
            with amp:
                pred = parts[0](inputs, **extra)
                loss = loss_fn(pred, labels) / tokens
            if case.get("keep_logits"):
                n.pred = pred
            del pred
            counter.phase("backward", step)
            loss.backward()
    n.loss = loss.detach()
    del inputs, labels, extra, loss
    counter.label((getattr(p.grad, "_local_tensor", p.grad) for part in parts for p in part.parameters()
                   if p.grad is not None), "gradient")
    counter.phase("clip", step)
    n.norm = dist_utils.clip_grad_norm_(
        [p for m in parts for p in m.parameters()], config.training.max_norm, foreach=True,
        pp_mesh=dims.get_optional_mesh("pp"), ep_enabled=dims.ep_enabled)
    counter.phase("optimizer", step)
    optimizers.step()
    counter.label((getattr(v, "_local_tensor", v) for o in optimizers for s in o.state.values() for v in s.values()
                   if isinstance(v, torch.Tensor)), "optimizer_state")
    n.norm = None
    n.loss = None


def _meshes():
    """A mesh reads its own rank numbers, which are no fake tensors."""
    from torch.distributed.device_mesh import DeviceMesh

    def real(inner):
        def call(*args, **kwargs):
            with _disable_current_modes():
                return inner(*args, **kwargs)
        return call

    for name in ("__init__", "_unflatten", "_flatten", "__getitem__", "get_coordinate"):
        setattr(DeviceMesh, name, real(getattr(DeviceMesh, name)))
    DeviceMesh._concatenate = staticmethod(real(DeviceMesh._concatenate))


def _stages(case, args, param_dtype):
    """Stages are told what goes between them: nobody is there to ask."""
    import torchtitan.distributed.pipeline_parallel as module
    from torch.distributed.pipelining import PipelineStage
    rows, seq = case["batch"] // case["microbatches"], case["seq"]
    hidden = rows, seq // case["ranks"].get("tp", 1) // case["ranks"].get("cp", 1), args.dim

    def stage(model, index, count, device, group=None):
        def meta(*shape, dtype=param_dtype):
            return torch.empty(shape, dtype=dtype, device="meta", requires_grad=dtype.is_floating_point)
        given = meta(rows, seq, dtype=torch.int64) if index == 0 else meta(*hidden)
        made = meta(*hidden) if index + 1 < count else meta(rows, seq, args.vocab_size)
        with _disable_current_modes():
            return PipelineStage(model, index, count, device, input_args=given, output_args=made, group=group)

    module.PipelineStage = stage


def install(case, counter):
    _meshes()
    device._kernels()
    device._optimizer_values()
    device._capabilities()
    device._modules()
    ranks.install(counter)
    F.scaled_dot_product_attention = _sdpa(case.get("attention_kernel", "cudnn"))
    torch.cuda.get_rng_state = lambda *a, **k: None
    torch.cuda.set_rng_state = lambda *a, **k: None


def measure(case, steps=2):
    counter = Counter()
    install(case, counter)
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    mode.cache_enabled = False
    with mode, counter:
        parameters, here = run(case, counter, steps)
    record = make_record(case, counter, parameters, here)
    record["parameters_here"] = record.pop("trainable")
    return record, counter.log


def differences(record, old):
    """What two records say otherwise, by phase."""
    for ours, theirs in zip(record["phases"], old["phases"]):
        for name in ("phase", "start", "peak", "end"):
            if ours[name] != theirs[name]:
                yield f'{theirs["phase"]} {theirs["step"]} {name}: {ours[name]} {theirs[name]} ({ours[name] - theirs[name] if name != "phase" else ""})'


for _name in ("components.validate", "components.dataloader", "components.tokenizer", "hf_datasets.text_datasets",
              "hf_datasets", "components.checkpoint", "components.metrics"):
    sys.modules[f"torchtitan.{_name}"] = _StandIn(f"torchtitan.{_name}")
import torchtitan.models.llama3, torchtitan.models.qwen3, torchtitan.models.deepseek_v3  # noqa: E401,E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("cases")
    parser.add_argument("-o", "--output")
    parser.add_argument("--trace")
    parser.add_argument("--only")
    args = parser.parse_args()
    lines = pathlib.Path(args.cases).read_text().splitlines()
    only = [int(n) for n in args.only.split(",")] if args.only else range(len(lines))
    for number in only:
        what = json.loads(lines[number])
        case = what.get("case", what)
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            continue
        try:
            record, log = measure(case)
            if "phases" in what:
                print(number, "same" if not list(differences(record, what)) else "\n  ".join(["differs", *differences(record, what)]), flush=True)
            if args.output:
                with open(args.output, "a") as out:
                    out.write(json.dumps(record, separators=(",", ":")) + "\n")
            if args.trace:
                pathlib.Path(args.trace).mkdir(parents=True, exist_ok=True)
                (pathlib.Path(args.trace) / f"{number:03d}.txt").write_text(write_trace(case, log))
        except Exception:
            import traceback
            print(number, "failed")
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(0)


if __name__ == "__main__":
    main()
