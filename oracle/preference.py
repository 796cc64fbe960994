"""Preference training as TRL runs it: a trainer's own loss on a stand-in for the rest of the trainer.

`"objective"` with `"trainer": "trl"`: "dpo" (DPOTrainer), "kto" (KTOTrainer) or "reward" (RewardTrainer, of a classifier
with one label). A batch is of pairs, `batch` of them, or of kto's single sequences; all tokens count. `"reference"` of dpo
and kto: "copy", a second model that is not trained; "adapter", the model without its adapters; "precomputed",
log-probabilities that come with the batch.
"""

import collections
import itertools
import types

import torch


def trainer_of(case):
    """The class whose methods a step runs."""
    import trl
    return {"dpo": trl.DPOTrainer, "reward": trl.RewardTrainer, "kto": trl.KTOTrainer}[case["objective"]]


def outputs_of(case):
    """What the trainer asks of its fused head for every token."""
    return {"dpo": ("log_probs", "entropy", "mean_logits", "is_top1"),
            "kto": ("log_probs", "entropy", "mean_logits")}.get(case.get("objective"), ("log_probs", "entropy", "is_top1"))


def disable_dropout(model):
    """What the trainers do to every model (`disable_dropout`, on by default)."""
    from trl.trainer.utils import disable_dropout_in_model
    disable_dropout_in_model(model)


def reference_of(case):
    """A second model as create_model_from_path loads it: without adapters or checkpoints, in eval mode, each parameter
    as if it were to be trained."""
    from cases import build_model
    from trl.trainer.utils import add_fused_lm_head
    plain = {key: value for key, value in case.items() if key not in ("lora", "checkpointing", "kernels", "freeze", "load")}
    model = build_model(plain).eval()
    add_fused_lm_head(model)
    return model


def prepare(case, self, model, accelerator):
    """What compute_loss asks for besides."""
    accelerator.device = torch.device("cuda")
    gather = accelerator.gather if accelerator.num_processes > 1 else lambda x: x
    accelerator.gather = accelerator.gather_for_metrics = gather
    accelerator.unwrap_model = lambda model: model
    self.model, self.aux_loss_enabled, self._total_train_tokens, self._tp_size = model, False, 0, 1
    self._metrics = {mode: collections.defaultdict(list) for mode in ("train", "eval")}
    if case["objective"] == "reward":
        self.args.center_rewards_coefficient = None
    else:
        prepare_comparison(case, self)
    if case["objective"] == "kto":
        prepare_kto(case, self)


def prepare_comparison(case, self):
    """The settings of DPOConfig, most of which KTOConfig has too, and the reference."""
    reference = case.get("reference", "copy")
    self.args.gradient_checkpointing_kwargs = {"use_reentrant": bool(case.get("reentrant"))}
    self.precompute_ref_logps = reference == "precomputed"
    self.ld_alpha, self.f_divergence_type, self.use_weighting, self.beta = None, "reverse_kl", False, 0.1
    self.label_smoothing, self.loss_types, self.loss_weights = 0.0, ["sigmoid"], [1.0]
    self.ref_model = reference_of(case) if reference == "copy" else None
    self._compute_loss = types.MethodType(trainer_of(case)._compute_loss, self)


def prepare_kto(case, self):
    """The settings of KTOConfig. Half of the sequences are good ones: which ones is a matter of values."""
    self.loss_type, self.calculate_KL, self.desirable_weight, self.undesirable_weight = "kto", True, 1.0, 1.0
    self._compute_kl_logps = types.MethodType(trainer_of(case)._compute_kl_logps, self)
    counts = itertools.cycle((case["batch"] - case["batch"] // 2, case["batch"] // 2))
    torch.nonzero = lambda mask, as_tuple=False: mask.new_empty((next(counts), 1), dtype=torch.long)


def build_batch(case):
    """The collators': chosen sequences, then rejected ones; of kto rated ones, and those that do not belong together."""
    rows, seq = (1 if case["objective"] == "kto" else 2) * case["batch"], case["seq"]
    batch = {"input_ids": torch.zeros((rows, seq), dtype=torch.long, device="cuda")}
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    if case["objective"] != "reward":
        batch["completion_mask"] = torch.ones_like(batch["input_ids"])
    if case["objective"] == "kto":
        batch |= {f"KL_{name}": torch.zeros_like(value) for name, value in list(batch.items())}
        batch["label"] = torch.ones(rows, dtype=torch.bool, device="cuda")
        if case.get("reference") == "precomputed":
            batch |= {name: torch.zeros(rows, device="cuda") for name in ("ref_logps", "ref_KL_logps")}
        return batch
    if case.get("reference") == "precomputed":
        batch["ref_chosen_logps"] = torch.zeros(case["batch"], device="cuda")
        batch["ref_rejected_logps"] = torch.zeros(case["batch"], device="cuda")
    return batch
