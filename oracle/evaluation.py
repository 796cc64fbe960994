"""An evaluation after the last step, of one batch of `eval_batch` sequences: the optimizer's states are there."""

import types

import torch

import fused
from cases import autocast, build_batch
from trainer import trainer_of


def evaluate(case, model, counter, step, loop):
    """A plain loop's forward pass without gradients, or a trainer's prediction_step; dropout is off."""
    counter.phase("evaluate", step)
    model.eval()
    batch = build_batch({**case, "batch": case["eval_batch"]}, getattr(model, "module", model).config)
    if loop is not None:
        return predict(case, model, batch, loop)
    with torch.no_grad(), autocast(case):
        return forward(case, model, batch)


def forward(case, model, batch):
    """What the loop calls, as in training; its own loss beside the logits where the case's is "plain"."""
    if case.get("kernels", {}).get("loss") != "plain":
        return model(**batch, **fused.arguments(case))
    logits = model(input_ids=batch["input_ids"]).logits
    return logits, torch.nn.functional.cross_entropy(logits.view(-1, logits.size(-1)), batch["labels"].view(-1))


def predict(case, model, batch, loop):
    """Trainer.evaluation_loop on one batch; without compute_metrics it asks for the loss alone."""
    if "input_ids" in batch:
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    self = loop.trainer
    self.args.use_liger_kernel = (case.get("kernels") or {}).get("loss") == "fused-linear"
    step = types.MethodType(trainer_of(case).prediction_step, self)
    loss, logits, labels = step(model, batch, prediction_loss_only=not case.get("eval_logits"))
    return loss.repeat(case["eval_batch"]), logits, labels
