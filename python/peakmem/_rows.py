"""The parts of answers, as the JSON of schema peakmem/1 has them. Every size is in bytes unless it says otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Bytes that are only known within bounds, with the reason."""

    low: int
    likely: int
    high: int
    why: str


@dataclass(frozen=True)
class Peak:
    """The highest level of the steady step, and what it makes of the card.

    Attributes:
        tensor_bytes: exact: the storages that live at that moment.
        allocated_bytes: torch.cuda.max_memory_allocated: whole blocks, and what kernels take for themselves.
        reserved_bytes: torch.cuda.max_memory_reserved, the likely value of `reserved_range`.
        device_bytes: what nvidia-smi shows, the likely value of `device_range`.
        managed_bytes: managed memory beside these (paged optimizers), counted only at the high end of `device_range`.
        phase: in which it lies: "forward", "backward", "optimizer", ...
        step: 2, the steady step, whose optimizer finds its state made.
        allocated_phase: in which most is allocated, and the ledger's moment lies.
        allocated_step: 1 or 0 where that is in the first step or before it.
    """

    tensor_bytes: int
    allocated_bytes: int
    reserved_bytes: int
    device_bytes: int
    phase: str
    step: int
    allocated_phase: str
    allocated_step: int
    reserved_range: Range
    device_range: Range
    managed_bytes: int = 0


@dataclass(frozen=True)
class FirstStep:
    """The highest level of step 1, in bytes of tensors."""

    tensor_bytes: int
    phase: str


@dataclass(frozen=True)
class Parameters:
    """How many parameters there are and how many are trained."""

    total: int
    trainable: int


@dataclass(frozen=True)
class Phase:
    """A phase of a step, in bytes of tensors; `micro` is its micro-batch, None for what happens once a step."""

    step: int
    phase: str
    start_bytes: int
    peak_bytes: int
    end_bytes: int
    micro: int | None = None


@dataclass(frozen=True)
class LedgerRow:
    """`count` storages that are alike, live at the peak; `formula` is of their bytes, `monomials` its terms without factors."""

    category: str
    name: str
    count: int
    bytes: int
    formula: str
    monomials: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class LengthRow:
    """Batches that are padded to their longest row: up to `share` of them have at most `seq` tokens in a row.

    1 is the longest batch. `verdict` is None where no GPU was named.
    """

    share: float
    seq: int
    tensor_bytes: int
    device_bytes: int
    verdict: str | None = None


@dataclass(frozen=True)
class ModuleRow:
    """A module that multiplies: its bytes at the peak, and floating-point operations of a step (`again_flops` of a
    checkpointed layer's second forward pass)."""

    name: str
    bytes: int
    flops: int
    forward_flops: int
    backward_flops: int
    again_flops: int
    update_flops: int


@dataclass(frozen=True)
class HostBuffers:
    """Buffers of a kind that a rank keeps on the host: as they were asked for, and as they were given.

    `pinned` ones are page-locked; PyTorch's pinned allocator rounds each up to a power of two.
    """

    name: str
    bytes: int
    taken_bytes: int
    pinned: bool


@dataclass(frozen=True)
class Host:
    """What a rank keeps on the host where ZeRO offloads, in bytes as they were given."""

    pinned_bytes: int
    pageable_bytes: int
    buffers: tuple[HostBuffers, ...]


@dataclass(frozen=True)
class Nccl:
    """What NCCL's communicators take beside PyTorch's allocator: an estimate, only in the high end of `device_range`."""

    communicators: int
    bytes: Range


@dataclass(frozen=True)
class Fits:
    """Whether the run fits on the GPU: "fits", "tight" or "does not fit".

    `capacity_bytes` is without the `headroom_bytes` that are to stay free. Where the CUDA context decides,
    `context_at_most_bytes` is what it may take at most for the run to fit. `retries`: on a card that is full, how often the
    allocator gives back what it caches and asks anew, by step from the first on; the last stands for all that follow.
    """

    gpu: str
    capacity_bytes: int
    verdict: str
    headroom_bytes: int = 0
    context_at_most_bytes: int | None = None
    retries: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return self.verdict != "does not fit"


@dataclass(frozen=True)
class Failure:
    """The first allocation that the GPU cannot serve, in the numbers of PyTorch's message.

    Attributes:
        step: 3 and on are the steady step once more.
        micro: the micro-batch, None for what happens once a step.
        module: the module that runs, such as "model.layers.3.mlp"; `op` is aten's name of what asks.
        bytes: of the tensor; `tried_bytes` of the segment, which is what PyTorch prints.
        free_bytes: of the GPU, beside the CUDA context and what PyTorch has reserved.
        approximate: why the place is not exact, empty where the allocator was replayed.
    """

    step: int
    phase: str
    module: str
    op: str
    bytes: int
    tried_bytes: int
    allocated_bytes: int
    reserved_bytes: int
    capacity_bytes: int
    free_bytes: int
    approximate: str
    micro: int | None = None


@dataclass(frozen=True)
class Knob:
    """A change and what it would save of the allocated bytes."""

    change: str
    saves_bytes: int


@dataclass(frozen=True)
class Gap:
    """Values from `first` to `last` that do not fit."""

    first: int
    last: int


@dataclass(frozen=True)
class Solution:
    """The largest value of `for_` ("batch", "seq", "hidden", …) that fits, or the smallest; 0 if none does.

    Attributes:
        sure: fits even at the upper end of what is reserved, as those just below it; `likely` is `value`.
        aligned: every multiple of 64 (of a batch: every one) up to here fits.
        gap: values below `value` that do not fit, for what is reserved does not grow evenly; None if none was found.
        peak_bytes: likely on the device at `value`, `next_peak_bytes` at the next one (0 if there is none).
        limit: what else stopped it, such as the learned position table.
        next: the next value, which does not fit; 0 if there is none. `failure` is the allocation that fails there.
        smallest: the smallest was sought (accumulate, fsdp, gpus): `sure` is from where on it surely fits.
    """

    for_: str
    value: int
    sure: int
    likely: int
    aligned: int
    gap: Gap | None
    peak_bytes: int
    next_peak_bytes: int
    capacity_bytes: int
    gpu: str
    limit: str
    headroom_bytes: int = 0
    next: int = 0
    failure: Failure | None = None
    smallest: bool = False


@dataclass(frozen=True)
class Card:
    """A GPU in a comparison: whether the job fits on it, and the largest value of what is solved for.

    `margin_bytes` is what the run leaves free, below 0 what it lacks; `error` says why there is no answer.
    """

    gpu: str
    title: str
    verdict: str | None = None
    capacity_bytes: int | None = None
    device_bytes: int | None = None
    margin_bytes: int | None = None
    value: int | None = None
    peak_bytes: int | None = None
    limit: str = ""
    error: SweepError | None = None

    def __bool__(self) -> bool:
        return self.verdict in ("fits", "tight") if self.verdict else bool(self.value)


@dataclass(frozen=True)
class FrontierPoint:
    """The largest `second` that fits with `first`."""

    first: int
    second: int
    peak_bytes: int


@dataclass(frozen=True)
class Change:
    """A change of the command line, what it is paid with ("nothing", "time", "cards", "quality"), and why."""

    flags: str
    cost: str
    why: str


@dataclass(frozen=True)
class Suggestion:
    """Changes with which the job fits, none of which could be left out; `command` is the command line to copy.

    `slowdown` is an estimate: a rank's time a token over that of the job as it was asked, each on its own card; None where
    a card's rates are not known.
    """

    cost: str
    changes: tuple[Change, ...]
    gpu: str
    verdict: str
    capacity_bytes: int
    device_bytes: int
    margin_bytes: int
    warnings: tuple[str, ...]
    command: str
    slowdown: float | None = None


@dataclass(frozen=True)
class Difference:
    """The second set-up's bytes less the first one's."""

    tensor_bytes: int
    allocated_bytes: int
    first_step_bytes: int
    reserved_bytes: int
    device_bytes: int


@dataclass(frozen=True)
class LedgerDifference:
    """What two ledgers hold under one category and name, in bytes; `difference_bytes` is b - a."""

    category: str
    name: str
    a_bytes: int
    b_bytes: int
    difference_bytes: int


@dataclass(frozen=True)
class Summary:
    """A set-up of a comparison, in short."""

    model: str
    parameters: Parameters
    peak: Peak
    first_step: FirstStep
    fits: Fits | None
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class SweepError:
    """Why there is no job at a value."""

    field: str
    problem: str
    hint: str


@dataclass(frozen=True)
class SweepPoint:
    """What the job takes at a value, or at several `values` by option; or the error that says why there is none.

    Attributes:
        categories: the allocated bytes by what they are for.
        textbook_bytes: what the formulas of `Sweep.textbook` give, in their order.
    """

    value: int | str | None = None
    values: dict[str, int | str] | None = None
    error: SweepError | None = None
    tensor_bytes: int | None = None
    allocated_bytes: int | None = None
    first_step_bytes: int | None = None
    device_bytes: int | None = None
    parameters: int | None = None
    phase: str | None = None
    fits: Fits | None = None
    categories: dict[str, int] | None = None
    textbook_bytes: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Textbook:
    """A formula in circulation.

    Attributes:
        bytes: what it gives at the job's sizes; None in a sweep, whose points have it.
        reference_bytes: what the trace gives for the same thing, `reference_of`.
        printed: the formula's own value, in `unit`.
    """

    name: str
    formula: str
    latex: str
    source: str
    reference_of: str
    assumptions: str | None = None
    bytes: float | None = None
    reference_bytes: float | None = None
    printed: float | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Curve:
    """The points of a timeline: bytes allocated after an event, which counts allocations and releases of the step."""

    event: tuple[int, ...]
    bytes: tuple[int, ...]


@dataclass(frozen=True)
class CurvePeak:
    """The highest point of a timeline."""

    event: int
    bytes: int
    phase: str


@dataclass(frozen=True)
class CurvePhase:
    """A phase's events, from `first` up to but not `last`."""

    name: str
    first: int
    last: int
    peak_bytes: int


@dataclass(frozen=True)
class Symbol:
    """A symbol of a formula, the letters it is written with, the size it stands for and its value."""

    symbol: str
    letters: str
    meaning: str
    value: int


@dataclass(frozen=True)
class FormulaOf:
    """The bytes of a moment or of a part of it, as a formula; `at` is the module and the op of the moment."""

    name: str
    step: int
    bytes: int
    formula: str
    latex: str
    at: str = ""


@dataclass(frozen=True)
class ShortFormula:
    """A formula without its smallest terms: `error` is the share of the peak that it is off by at these sizes."""

    formula: str
    latex: str
    error: float
    dropped: int


@dataclass(frozen=True)
class Term:
    """A term of the peak's formula and its bytes; `monomial` is the term without its factor, as the ledger's rows name it."""

    formula: str
    latex: str
    mathml: str
    monomial: str
    bytes: int


@dataclass(frozen=True)
class Dimension:
    """What a size does to the peak: its power, the share of the terms that hold it, the peak with it doubled."""

    symbol: str
    value: int
    power: int
    share: float
    doubled_bytes: int


@dataclass(frozen=True)
class Crossing:
    """Where one part of the peak overtakes another."""

    text: str
    value: int


@dataclass(frozen=True)
class ModelRow:
    """A model that comes with Peakmem."""

    name: str
    family: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    positions: int
    source: str


@dataclass(frozen=True)
class ParameterRow:
    """A parameter by its Hugging Face name, the sizes of what is stored, torch's name of its dtype, whether it trains."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    trained: bool


@dataclass(frozen=True)
class GpuRow:
    """A GPU; what a CUDA context takes of it, in bytes: with kernels loaded lazily, all at once, and at most in published runs."""

    name: str
    title: str
    memory_bytes: int
    compute_capability: int
    multiprocessors: int
    context_low: int
    context_high: int
    context_most: int
    aliases: str
    source: str


@dataclass(frozen=True)
class OptimizerRow:
    """An optimizer, what it keeps for each parameter and how it may be implemented."""

    name: str
    title: str
    states: str
    implementations: str
    usual: str
    source: str
    optim: str = ""  # its names in TrainingArguments, each with the implementation that the name says


@dataclass(frozen=True)
class FamilyRow:
    """An architecture and the tasks it can be trained for."""

    name: str
    title: str
    tasks: str
    source: str


@dataclass(frozen=True)
class OptionRow:
    """An option: its kind ("size", "choice", "flag", "text", "file"), its default as text, the commands it is of."""

    name: str
    kind: str
    value: str
    default: str
    symbol: str
    group: str
    help: str
    choices: tuple[str, ...]
    commands: tuple[str, ...]


@dataclass(frozen=True)
class ModelConfig:
    """What is understood of a config, its defaults filled in; sizes a family does not have are 0.

    `changed_by` are the options that change its sizes.
    """

    family: str
    task: str
    layers: int
    decoder_layers: int
    hidden: int
    embedding: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    positions: int
    window: int
    experts: int
    experts_per_token: int
    shared_ffn: int
    labels: int
    token_types: int
    buckets: int
    image: int
    patch: int
    channels: int
    batch: int
    seq: int
    target_seq: int
    images: int
    image_tokens: int
    learned_positions: bool
    tied: bool
    gated: bool
    embedding_dropout: float
    hidden_dropout: float
    attention_dropout: float
    changed_by: tuple[str, ...]


@dataclass(frozen=True)
class Launch:
    """What became of every key of the launch files a question was asked with.

    Attributes:
        files: each with whose it is.
        used: keys with their values.
        defaults: what the tool takes where the files say nothing, with values.
        harmless: keys that change no byte.
        not_understood: keys that were not used and may change the answer, with the reason.
        command: the same question by options alone.
    """

    files: tuple[str, ...]
    used: tuple[str, ...]
    defaults: tuple[str, ...]
    harmless: tuple[str, ...]
    not_understood: tuple[str, ...]
    command: str
