"""An evaluation after the last step, of `eval_batches` (default 1) batches of `eval_batch` sequences: the optimizer's
states are there."""

import types

import torch
from transformers.trainer_pt_utils import EvalLoopContainer

import fused
from cases import autocast, build_batch
from trainer import trainer_of


def evaluate(case, model, counter, step, loop):
    """A plain loop's forward passes without gradients, or a trainer's evaluation_loop; dropout is off."""
    counter.phase("evaluate", step)
    model.eval()
    return infer(case, model) if loop is None else predict(case, model, loop)


def batches(case, model):
    """The batches of the evaluation."""
    for _ in range(case.get("eval_batches", 1)):
        yield build_batch({**case, "batch": case["eval_batch"]}, getattr(model, "module", model).config)


def infer(case, model):
    """What a script writes: its names live until they are bound again."""
    for batch in batches(case, model):
        with torch.no_grad(), autocast(case):
            outputs = forward(case, model, batch)
    return outputs


def forward(case, model, batch):
    """What the loop calls, as in training; its own loss beside the logits where the case's is "plain"."""
    if case.get("kernels", {}).get("loss") != "plain":
        return model(**batch, **fused.arguments(case))
    logits = model(input_ids=batch["input_ids"]).logits
    return logits, torch.nn.functional.cross_entropy(logits.view(-1, logits.size(-1)), batch["labels"].view(-1))


def predict(case, model, loop):
    """Trainer.evaluation_loop (5.23) of one process, by its own containers; without compute_metrics (`eval_logits`) it
    asks for the loss alone."""
    self = loop.trainer
    self.args.use_liger_kernel = (case.get("kernels") or {}).get("loss") == "fused-linear"
    step = types.MethodType(trainer_of(case).prediction_step, self)
    containers = [EvalLoopContainer(), EvalLoopContainer(), EvalLoopContainer()]
    for inputs in batches(case, model):
        if "input_ids" in inputs:
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        losses, logits, labels = step(model, inputs, prediction_loss_only=not case.get("eval_logits"))
        losses = losses.repeat(case["eval_batch"])
        for container, new in zip(containers, (losses, logits, labels)):
            if new is not None:
                container.add(new)
    return containers
