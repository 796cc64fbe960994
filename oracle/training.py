"""The training run of a case on whatever device is there: phases, steps, micro-batches.

A counter is told of every phase and of what tensors are for (`phase`, `label`, `category`); what it measures is its own.
"""

import torch

import fused
from cases import autocast, build_batch, build_model, build_optimizer, loss_of, stays_on_host
from data_parallel import replicate, synchronized
from device import HAS_KERNELS
from evaluation import evaluate
from trainer import backward, Loop


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
        if case.get("keep_outputs") in (None, False, "loss"):  # the last names the batch and the loss
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
        loop.trainer.accelerator.backward = lambda loss, **_: (counter.phase("backward", number), backward(loss))
        with synchronized(model, case, part + 1 == many):
            loop.run(model, part)
        counter.label((local(p.grad) for p in model.parameters() if p.grad is not None), "gradient")


def clip(case, model, counter, step, loop):
    """Clip the gradients, or have a trainer take their norm, which it names until the next one."""
    if loop is not None:
        loop.clip(case, model, lambda: counter.phase("clip", step))
    elif case.get("clip"):
        counter.phase("clip", step)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)


def train_step(case, model, optimizer, counter, step, loop, names):
    """Accumulate gradients, clip them, step, and drop them."""
    many = case.get("accumulate")
    if loop is not None:
        trainer_step(case, model, counter, step, loop)
    for part in range(many or 1 if loop is None else 0):
        with synchronized(model, case, part + 1 == (many or 1)):
            micro_step(case, model, counter, round(step + part / 100, 2) if many else step,
                       names if case.get("keep_outputs") else Names())
    clip(case, model, counter, step, loop)
    counter.phase("optimizer", step)
    optimizer.step()
    counter.label(optimizer_tensors(optimizer), "optimizer_state")
    optimizer.zero_grad(set_to_none=True)


def spread(case, model, counter):
    """Make the model one rank's; of a sharded one the whole parameters were there first."""
    import accelerated
    import ranks
    if not HAS_KERNELS:
        ranks.install(counter)
    if "ddp" in case["ranks"]:
        return replicate(model, case, counter)
    counter.label(model.parameters(), "whole_parameter")
    model = accelerated.shard(model, case) if stays_on_host(case) else ranks.shard(model, case)
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
    if loop is not None:
        counter.label(loop.reference_parameters(), "parameter")
    names = Names()
    for step in range(1, steps + 1):
        train_step(case, model, optimizer, counter, step, loop, names)
    if case.get("eval_batch"):
        evaluated = evaluate(case, model, counter, steps, loop)  # a name that lives on
    counter.phase("end", steps)
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, _ in sizes), sum(n for n, grad in sizes if grad), managed_bytes(optimizer)
