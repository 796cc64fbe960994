"""Preference training as TRL runs it: a trainer's own loss on a stand-in for the rest of the trainer.

`"objective"` with `"trainer": "trl"`: "dpo" (DPOTrainer), "kto" (KTOTrainer), "reward" (RewardTrainer, of a classifier
with one label), "orpo" (ORPOTrainer), "cpo" or "simpo" (CPOTrainer). A batch is of pairs, `batch` of them, or of kto's
single sequences; all tokens count. `"reference"` of dpo and kto: "copy", a second model that is not trained; "adapter", the
model without its adapters; "precomputed", log-probabilities that come with the batch. `"completion"` of orpo, cpo and simpo
are the tokens of `seq` that are no prompt's, which comes once more by itself (all of them where it is absent).
"""

import collections
import importlib
import itertools
import types

import torch

import grpo


WHOLE_LOGITS = ("orpo", "cpo", "simpo")  # of trl.experimental, where the model gives its logits


def trainer_of(case):
    """The class whose methods a step runs."""
    import trl
    objective = case["objective"]
    if objective in WHOLE_LOGITS:
        kind = objective.replace("simpo", "cpo")
        return getattr(importlib.import_module(f"trl.experimental.{kind}"), f"{kind.upper()}Trainer")
    return {"dpo": trl.DPOTrainer, "reward": trl.RewardTrainer, "kto": trl.KTOTrainer, "grpo": trl.GRPOTrainer}[objective]


def outputs_of(case):
    """What the trainer asks of its fused head for every token."""
    return {"dpo": ("log_probs", "entropy", "mean_logits", "is_top1"),
            "kto": ("log_probs", "entropy", "mean_logits"), "grpo": ("log_probs", "entropy")}.get(case.get("objective"), ("log_probs", "entropy", "is_top1"))


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
    elif case["objective"] == "grpo":
        grpo.prepare(case, self, model, accelerator)
    elif case["objective"] in WHOLE_LOGITS:
        prepare_whole_logits(case, self)
    else:
        prepare_comparison(case, self)
    if case["objective"] == "kto":
        prepare_kto(case, self)


def prepare_whole_logits(case, self):
    """The settings of ORPOConfig and CPOConfig; simpo is what SimPO's authors train with it, without the loss of the
    chosen sequences. A step logs numbers, and its kernels are Triton's."""
    import fused
    fused._install_triton()
    self.is_encoder_decoder, self.padding_value, self.pad_token_id, self.beta = False, 0, 0, 0.1
    self.label_smoothing, self.alpha, self.simpo_gamma, self._peft_has_been_casted_to_bf16 = 0.0, 0.0, 0.5, False
    self.loss_type, self.cpo_alpha = ("simpo", 0.0) if case["objective"] == "simpo" else ("sigmoid", 1.0)
    self._stored_metrics = collections.defaultdict(lambda: collections.defaultdict(list))
    self.args.device = torch.device("cuda")
    trainer = trainer_of(case)
    for name in ("concatenated_inputs", "get_batch_logps"):
        setattr(self, name, getattr(trainer, name))
    for name in ("concatenated_forward", "get_batch_loss_metrics", "store_metrics", "odds_ratio_loss", "cpo_loss"):
        if hasattr(trainer, name):
            setattr(self, name, types.MethodType(getattr(trainer, name), self))


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


def build_pairs(case):
    """DPODataCollatorWithPadding's: the prompts, chosen sequences, and rejected ones."""
    rows, seq = case["batch"], case["seq"]
    prompt = seq - case.get("completion", seq)
    ones = lambda length: torch.ones((rows, length), dtype=torch.long, device="cuda")
    batch = {f"prompt_{name}": ones(prompt) for name in ("input_ids", "attention_mask")}
    return batch | {f"{kind}_{name}": ones(seq) for kind in ("chosen", "rejected")
                    for name in ("input_ids", "attention_mask", "labels")}


def build_batch(case):
    """The collators': chosen sequences, then rejected ones; of kto rated ones, and those that do not belong together."""
    if case["objective"] in WHOLE_LOGITS:
        return build_pairs(case)
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
