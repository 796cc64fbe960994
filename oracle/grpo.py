"""GRPO's training pass as TRL runs it: GRPOTrainer's own scoring of completions and its own loss.

A case's `"objective": "grpo"`: `batch` sequences in a micro-batch, of whose `seq` tokens `completion` are the completion's and
the rest the prompt's. Completions are there from the beginning: what made them (the model's own generate, or vLLM) is not
measured. `"vllm": true` has the trainer correct for another engine's probabilities, which takes the policy's of before;
`"reference"` ("copy", "adapter") is what a `beta` that is not 0 compares with. A step's completions are made at once, as the
defaults have it (`steps_per_generation` is the number of micro-batches, `num_iterations` 1), and are in the phase `input`.
"""

import collections
import contextlib
import inspect
import types

import torch

METHODS = ("_compute_loss", "_get_per_token_logps_and_entropies", "_prepare_inputs", "_generate_and_score_completions")


def prepare(case, self, model, accelerator):
    """The settings of GRPOConfig's defaults, and what its trainer keeps."""
    import trl
    from trl.trainer import grpo_trainer
    from cases import autocast
    grpo_trainer.gather_object = lambda x: x
    grpo_trainer.disable_gradient_checkpointing = without_checkpoints
    many, reference = case.get("accumulate", 1), case.get("reference")
    accelerator.autocast = lambda: autocast(case)
    accelerator.reduce = lambda x, reduction: x.clone()
    accelerator.process_index, accelerator.is_main_process, accelerator.sync_gradients = 0, False, True
    vars(self.args).update(
        steps_per_generation=many, gradient_accumulation_steps=many, per_device_train_batch_size=case["batch"], delta=None,
        report_to=[],
        use_bias_correction_kl=False, gradient_checkpointing_kwargs={"use_reentrant": bool(case.get("reentrant"))})
    vars(self).update(
        beta=0.04 if reference else 0.0, num_iterations=1, num_generations=case["batch"], temperature=1.0, epsilon_low=0.2,
        epsilon_high=0.2, loss_type="dapo", importance_sampling_level="token", top_entropy_quantile=1.0,
        off_policy_mask_threshold=None, use_vllm=bool(case.get("vllm")), vllm_importance_sampling_correction=True,
        vllm_importance_sampling_mode="sequence_mask", vllm_importance_sampling_clip_min=None,
        vllm_importance_sampling_clip_max=3.0, _entropy_bonus_enabled=False, max_completion_length=case["completion"],
        mask_truncated_completions=False, pad_to_multiple_of=None, multi_objective_aggregation="sum_then_normalize",
        scale_rewards="group", reward_func_names=["reward"], reward_weights=torch.ones(1), reward_funcs=[None],
        environment_factories=None, environments=None, tools=None, log_multimodal=False, _is_vlm=False, _step=0,
        _buffered_inputs=None, _pending_extra_logs={}, _pending_metrics={}, _tokenizer=types.SimpleNamespace(pad_token_id=0),
        _logs={"prompt": [], "completion": [], "advantages": [], "rewards": collections.defaultdict(list)})
    self.ref_model = None
    if reference == "copy":
        from preference import reference_of
        self.ref_model = reference_of(case)
    for name in METHODS:
        setattr(self, name, types.MethodType(inspect.unwrap(getattr(trl.GRPOTrainer, name)), self))
    self._generate = lambda prompts: generated(case, len(prompts))
    self._calculate_rewards = lambda inputs, *_: torch.zeros((len(inputs), 1), device="cuda")
    self.make_inputs, self._prepare_inputs = self._prepare_inputs, lambda inputs: inputs


@contextlib.contextmanager
def without_checkpoints(model, arguments=None):
    """TRL's own, of a model that PEFT may have wrapped."""
    enabled = model.is_gradient_checkpointing
    if enabled:
        model.gradient_checkpointing_disable()
    try:
        yield
    finally:
        if enabled:
            model.gradient_checkpointing_enable(arguments)


def generated(case, rows):
    """What _generate returns: all prompts are as long, and all completions."""
    length = case["completion"]
    log_probs = [[0.0] * length] * rows if case.get("vllm") else None
    return ([[1] * (case["seq"] - length)] * rows, [[1] * length] * rows, None, [""] * rows, log_probs, {}, None, None)


def micro_batches(case, self):
    """A step's batches, from one generation."""
    many = case.get("accumulate", 1)
    prompts = [{"prompt": ""} for _ in range(case["batch"] * many)]
    batches = []
    for self._step in range(many):
        batches.append(self.make_inputs(prompts))
    self._step = 0
    return batches
