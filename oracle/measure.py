#!/usr/bin/env python3
"""Measure the memory of PyTorch training steps to the byte, without a GPU.

    measure.py CASES.jsonl|CASE.json|FOLDER... [-o OUT.jsonl] [--trace DIR] [--steps N]

Every case becomes one line of JSON; with --trace also a text file with every
allocation and release.
"""

import argparse
import contextlib
import json
import os
import pathlib
import sys
import time

import device  # first: it loads the fake CUDA device before torch

import torch
import transformers
from torch._subclasses.fake_tensor import FakeTensorMode

import fused
from cases import autocast, build_batch, build_model, build_optimizer, load_libraries, loss_of
from count import Counter
from data_parallel import UsedParameters, replicate, synchronized
from evaluation import evaluate
from report import make_record, write_trace
from trainer import Loop


def check_version(case):
    """A case may say which transformers it is about; its records are no one else's."""
    wanted, here = case.get("transformers", "5.23"), transformers.__version__
    if not here.startswith(wanted + "."):
        raise ValueError(f"the case is about transformers {wanted}, and {here} is installed (oracle/setup.sh --transformers {wanted})")


def managed_bytes(optimizer):
    """What a paged optimizer keeps in managed memory."""
    return sum(t.nbytes for state in optimizer.state.values() for t in state.values() if getattr(t, "is_paged", False))


def optimizer_tensors(optimizer):
    """Every tensor of the optimizer's state."""
    for state in optimizer.state.values():
        yield from (local(v) for v in state.values() if isinstance(v, torch.Tensor))


class Names:
    """What a script's loop names; each lives until it is bound again."""
    batch = outputs = loss = None


def forward(case, model, names):
    """What the loop calls, and the loss: the model's, or its own where the case's is "plain" (labels come shifted)."""
    if case.get("kernels", {}).get("loss") != "plain":
        names.outputs = model(**names.batch, **fused.arguments(case))
        return loss_of(case, names.outputs)
    names.outputs = model(input_ids=names.batch["input_ids"]).logits
    return torch.nn.functional.cross_entropy(names.outputs.view(-1, names.outputs.size(-1)), names.batch["labels"].view(-1))


def micro_step(case, model, counter, step, names):
    """One forward and backward pass."""
    counter.phase("input", step)
    names.batch = build_batch(case, getattr(model, "module", model).config)
    counter.phase("forward", step)
    with autocast(case):
        loss = forward(case, model, names)
        if not case.get("keep_outputs"):
            names.outputs = None
        if case.get("accumulate"):
            loss = loss / case["accumulate"]
        names.loss = loss
        del loss
    counter.phase("backward", step)
    names.loss.backward()
    counter.label((local(p.grad) for p in model.parameters() if p.grad is not None), "gradient")


def trainer_step(case, model, counter, step, loop):
    """The same in a trainer's loop; the backward pass begins where the loss calls it."""
    many = case.get("accumulate", 1)
    for part in range(many):
        number = round(step + part / 100, 2) if "accumulate" in case else step
        counter.phase("input", number)
        if part == 0:
            loop.micro_batches(lambda: build_batch(case, getattr(model, "module", model).config), many)
        counter.phase("forward", number)
        loop.trainer.accelerator.backward = lambda loss, **_: (counter.phase("backward", number), loss.backward())
        with synchronized(model, case, part + 1 == many):
            loop.run(model, part)
        counter.label((local(p.grad) for p in model.parameters() if p.grad is not None), "gradient")


def train_step(case, model, optimizer, counter, step, loop, names):
    """Accumulate gradients, clip them, step, and drop them."""
    many = case.get("accumulate")
    if loop is not None:
        trainer_step(case, model, counter, step, loop)
    for part in range(many or 1 if loop is None else 0):
        with synchronized(model, case, part + 1 == (many or 1)):
            micro_step(case, model, counter, round(step + part / 100, 2) if many else step,
                       names if case.get("keep_outputs") else Names())
    if case.get("clip"):
        counter.phase("clip", step)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    counter.phase("optimizer", step)
    optimizer.step()
    counter.label(optimizer_tensors(optimizer), "optimizer_state")
    optimizer.zero_grad(set_to_none=True)


def spread(case, model, counter):
    """Make the model one rank's; of a sharded one the whole parameters were there first."""
    import ranks
    ranks.install(counter)
    if "ddp" in case["ranks"]:
        return replicate(model, case, counter)
    counter.label(model.parameters(), "whole_parameter")
    model = ranks.shard(model, case)
    counter.label(map(local, model.parameters()), "parameter")
    return model


def local(tensor):
    """This rank's part of a tensor."""
    return getattr(tensor, "_local_tensor", tensor)


def run(case, counter, steps):
    """The whole training run; returns the numbers of parameters and the managed bytes."""
    model = build_model(case, (lambda name: counter.phase(name, 0)) if case.get("load") else lambda name: None)
    counter.label(model.parameters(), "parameter")
    counter.label(model.buffers(), "buffer")
    if case.get("ranks"):
        model = spread(case, model, counter)
    optimizer = build_optimizer(case, model)
    counter.label(optimizer_tensors(optimizer), "optimizer_state")
    counter.phase("model", 1)
    loop = Loop(case, model, autocast) if case.get("trainer", "loop") != "loop" else None
    names = Names()
    for step in range(1, steps + 1):
        train_step(case, model, optimizer, counter, step, loop, names)
    if case.get("eval_batch"):
        evaluated = evaluate(case, model, counter, steps, loop)  # a name that lives on
    counter.phase("end", steps)
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, _ in sizes), sum(n for n, grad in sizes if grad), managed_bytes(optimizer)


def measure(case, steps=2):
    """Run a case; returns its record and its log."""
    check_version(case)
    device.install()
    counter = Counter()
    mode = FakeTensorMode(allow_non_fake_inputs=False)
    # Its cache makes outputs anew from sizes and strides, and forgets what a kernel pads behind the last row: the
    # gradient of an attention mask is 32 bytes short whenever it is made again.
    mode.cache_enabled = False
    values = UsedParameters() if "ddp" in (case.get("ranks") or {}) else contextlib.nullcontext()
    with fused.scope(case), mode, values, counter:
        parameters, trainable, managed = run(case, counter, steps)
    return make_record(case, counter, parameters, trainable, managed), counter.log


def read_cases(paths):
    """Yield (name, case) from files and folders; a record counts as its case."""
    for path in map(pathlib.Path, paths):
        files = sorted(path.glob("*.json*")) if path.is_dir() else [path]
        for file in files:
            text = file.read_text()
            lines = [text] if file.suffix == ".json" else text.splitlines()
            for number, line in enumerate(line for line in lines if line.strip()):
                case = json.loads(line)
                case = case.get("case", case)
                yield file.stem if len(lines) == 1 else f"{file.stem}_{number:03d}", case


def measure_apart(name, case, steps, trace):
    """The record as text, measured in a process of its own: what libraries patch for good (Liger
    torch.nn.functional.cross_entropy) and what a failing case leaves behind goes with it. None where it fails."""
    load_libraries(case)  # here, once for all that follow
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        failed = 1
        try:
            record, log = measure(case, steps)
            if trace:
                (pathlib.Path(trace) / f"{name}.txt").write_text(write_trace(case, log))
            with os.fdopen(writer, "w") as out:
                out.write(json.dumps(record, separators=(",", ":")))
            failed = 0
        except Exception as error:  # one bad case must not lose the others
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(failed)
    os.close(writer)
    with os.fdopen(reader) as lines:
        record = lines.read()
    _, status = os.waitpid(child, 0)
    return record if status == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("cases", nargs="+", help="CASES.jsonl, CASE.json or a folder of them")
    parser.add_argument("-o", "--output", help="append records to this file (default: print them)")
    parser.add_argument("--trace", help="folder for one text file per case")
    parser.add_argument("--steps", type=int, default=2, help="training steps (default 2)")
    args = parser.parse_args()
    out = open(args.output, "a") if args.output else sys.stdout
    if args.trace:
        pathlib.Path(args.trace).mkdir(parents=True, exist_ok=True)
    failed = 0
    for name, case in read_cases(args.cases):
        begin = time.time()
        record = measure_apart(name, case, args.steps, args.trace)
        if record is None:
            failed += 1
            continue
        print(record, file=out, flush=True)
        print(f"{name}: {time.time() - begin:.1f} s", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
