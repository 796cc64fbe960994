"""One rank of TRL's DPOTrainer as it really runs: under DeepSpeed, or FSDP2 as `accelerate launch` sets its variables.
measure.py takes cases with the `objective` dpo whose `ranks` say `zero` (see zero.py), or `real` beside `fsdp`.

The policy and what it is compared with come from from_pretrained; rows are token ids, of which the first `seq - completion` are the prompt.
"""

import os

import datasets
import tokenizers
import torch
import transformers

import preference
from zero import checkpoint, deepspeed_json, join, load, OPTIMIZERS, prepare_deepspeed

FSDP2 = {"FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP", "ACCELERATE_USE_FSDP": "true", "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
         "FSDP_RESHARD_AFTER_FORWARD": "true"}


def world_of(ranks):
    return ranks.get("world") or ranks["fsdp"]


def tokenizer():
    """One that has what the trainers ask for; rows come as ids."""
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "</s>": 1}, unk_token="a"))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", pad_token="</s>")


def rows_of(case, many):
    """What the trainers' own tokenization would give."""
    completion = case.get("completion", case["seq"])
    prompt = [0] * (case["seq"] - completion)
    row = {"prompt_ids": prompt, "chosen_ids": [0] * completion, "rejected_ids": [0] * completion}
    if case.get("reference") == "precomputed":
        row |= {"ref_chosen_logps": 0.0, "ref_rejected_logps": 0.0}
    return datasets.Dataset.from_list([row] * many)


def arguments(case, steps, folder):
    import trl
    bf16 = case.get("autocast") == "bf16" or case["precision"] == "bf16-autocast" or "zero" in case["ranks"]
    options = dict(output_dir=folder, per_device_train_batch_size=case["batch"], max_steps=steps, report_to=[], save_strategy="no", logging_steps=1, disable_tqdm=True,
                   optim=OPTIMIZERS[case["optimizer"]], bf16=bf16, gradient_accumulation_steps=case.get("accumulate", 1), max_length=None,
                   max_grad_norm=1.0 if case.get("clip") else 0.0, gradient_checkpointing=bool(case.get("checkpointing")))
    if case.get("checkpointing"):
        options["gradient_checkpointing_kwargs"] = {"use_reentrant": bool(case.get("reentrant"))}
    if "zero" in case["ranks"]:
        options["deepspeed"] = deepspeed_json(case)
    return trl.DPOConfig(**options)


def lora_of(case):
    """The trainers wrap a model themselves, ZeRO 3's adapters in its own dtype."""
    if not case.get("lora"):
        return None
    import peft
    lora = case["lora"]
    return peft.LoraConfig(r=lora["r"], target_modules=lora["targets"], lora_dropout=lora.get("dropout", 0.0), task_type="CAUSAL_LM")


def measured(case, counter, trainer_class):
    """The trainer, with the phases of its steps marked, on rows that are tokenized; log-probabilities that come with them are taken as they are."""
    many = case.get("accumulate", 1)

    class Measured(trainer_class):
        micro = 0

        def _prepare_dataset(self, dataset, *_, **__):
            return dataset

        def _precompute_ref_logps(self, dataset, *_, **__):
            return dataset

        def training_step(self, *args, **kwargs):
            self.number = self.state.global_step + 1 + (round(self.micro % many / 100, 2) if many > 1 else 0)
            self.micro += 1
            counter.phase("forward", self.number)
            return super().training_step(*args, **kwargs)

    return Measured


class Watch(transformers.TrainerCallback):
    """Marks the phases that are others' functions."""

    trainer = counter = None

    def within(self, owner, name, phase):
        inner = getattr(owner, name)

        def called(*args, **kwargs):
            number = self.trainer.number if phase == "backward" else self.trainer.state.global_step + 1
            self.counter.phase(phase, number)
            result = inner(*args, **kwargs)
            if "zero" in self.case["ranks"]:
                self.counter.phase("rest", number)
            return result

        setattr(owner, name, called)

    def on_train_begin(self, *_, **__):
        accelerator = self.trainer.accelerator
        if "zero" in self.case["ranks"]:
            engine = accelerator.deepspeed_engine_wrapped.engine
            self.within(engine, "backward", "backward")
            self.within(engine, "step", "optimizer")
        else:
            self.within(accelerator, "backward", "backward")
            self.within(accelerator, "clip_grad_norm_", "clip")

    def on_pre_optimizer_step(self, *_, **__):
        if "zero" not in self.case["ranks"]:
            self.counter.phase("optimizer", self.trainer.state.global_step + 1)


def run(case, counter, steps):
    """A training run; the model's phase has the loading of both models and what is made of them before the first step."""
    ranks = case["ranks"]
    join({**ranks, "world": world_of(ranks)})
    torch.cuda.set_device(0)
    if "zero" in ranks:
        prepare_deepspeed()
    else:
        os.environ.update(FSDP2)
    rows = rows_of(case, case["batch"] * case.get("accumulate", 1) * world_of(ranks) * steps)
    watch = Watch()
    watch.case, watch.counter = case, counter
    with checkpoint(case) as folder:
        settings = arguments(case, steps, folder)
        settings.precompute_ref_log_probs = case.get("reference") == "precomputed"
        plain = {key: value for key, value in case.items() if key != "lora"}
        model = load(plain, folder)
        watch.trainer = measured(case, counter, preference.trainer_of(case))(
            model, args=settings, train_dataset=rows, processing_class=tokenizer(), peft_config=lora_of(case), callbacks=[watch])
        watch.trainer.train()
    counter.phase("end", steps)
