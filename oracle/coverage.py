#!/usr/bin/env python3
"""Which models of transformers peakmem.trace traces: every type of a mapping, its default config cut to four layers.

    coverage.py [--tasks causal-lm,masked-lm] [--types gpt2,llama] [--fit] -o RESULTS.jsonl
    coverage.py --tasks modules -o RESULTS.jsonl
    coverage.py --table RESULTS.jsonl... [--before docs/coverage.md] > new.md

A type is tried on 2 sequences of 64 tokens (or 2 images, a second of sound), two or three steps of AdamW, in a process of its
own. What RESULTS.jsonl has already is passed over. "Traced" says that the steps ran and every allocation was logged; what they
are held to, where there is something, are the records. --fit also makes formulas of the batch and the length. Of tasks and modules
that RESULTS has nothing of the page before is repeated.
"""

import argparse
import gc
import importlib.util
import json
import math
import os
import pathlib
import resource
import sys
import traceback
import types

ROOT = pathlib.Path(__file__).resolve().parent.parent
package = types.ModuleType("peakmem")  # the tracer alone, whose package needs the compiled core for all else
package.__path__ = [str(ROOT / "python" / "peakmem")]
sys.modules["peakmem"] = package
sys.modules["device"] = types.SimpleNamespace(HAS_KERNELS=False)

import torch  # noqa: E402
from modules import MODULES, know_torchvision, load  # noqa: E402, I001  before transformers, which looks for libraries as it is imported

know_torchvision()
import transformers  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from coverage_page import TASKS, print_page  # noqa: E402
from jobs import in_child  # noqa: E402
from peakmem.trace._asked import Asked  # noqa: E402
from peakmem.trace._family import make_family  # noqa: E402
from peakmem.trace._fold import NO_STACK, Folded, fold  # noqa: E402
from peakmem.trace._gpu import ANY  # noqa: E402
from peakmem.trace._steps import OPTIONS, run_model  # noqa: E402
from peakmem.trace._transformers import class_of, full_batch, make_of, make_ready, types_of  # noqa: E402

transformers.logging.set_verbosity_error()

LIMIT = 100  # seconds of the processor a type
LAYERS, MORE = 4, 6  # the second where the first do not fold
BATCH, SEQ = 2, 64

COUNTS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers",
          "num_decoder_layers", "num_encoder_layers", "depth")


def cut(config, layers):
    """Fewer layers, in the config and in those inside it; lists with an entry a layer are cut with them."""
    for name in COUNTS:
        count = getattr(config, name, None)
        if isinstance(count, int) and count > layers:
            for key, value in list(vars(config).items()):
                if isinstance(value, (list, tuple)) and len(value) == count:
                    setattr(config, key, type(value)(value[:layers]))
            setattr(config, name, layers)
    if getattr(config, "intermediate_layers_indices", None):  # whose outputs are kept
        config.intermediate_layers_indices = [each for each in config.intermediate_layers_indices if each < layers]
        config.vision_output_dim = config.hidden_size * (1 + len(config.intermediate_layers_indices))
    for name in ("vision_feature_layer", "vision_feature_layers"):  # as well
        value = vars(config).get(name)
        if isinstance(value, (list, tuple)):
            setattr(config, name, [max(each, -layers) if each < 0 else min(each, layers - 1) for each in value])
    for name, first in (("out_indices", 1), ("backbone_out_indices", 0)):
        value = vars(config).get(name)
        if isinstance(value, (list, tuple)) and max(value, default=0) > layers:
            setattr(config, name, list(range(first, first + min(len(value), layers))))
    if getattr(config, "num_kv_shared_layers", 0):  # the last so many have no keys of their own, of each kind that there is before
        config.num_kv_shared_layers = 0
    for value in list(vars(config).values()):
        if isinstance(value, transformers.PretrainedConfig):
            cut(value, layers)
    return config


def join_sides(config):
    """What an image becomes is as wide as the text, and has a token: default configs are of several models, and do not
    always fit."""
    side, text = getattr(config, "vision_config", None), config.get_text_config()
    name = "hidden_size" if config.model_type == "qwen2_vl" else "out_hidden_size"
    if hasattr(side, name) and hasattr(text, "hidden_size"):
        setattr(side, name, text.hidden_size)
    for name in ("image_token_index", "image_token_id", "video_token_index", "audio_token_id"):
        if getattr(config, name, 0) is None:
            setattr(config, name, 8)
    fit_images(config)
    return config


#: Fields of published configs without which a default config's parts do not fit each other, by type: of which part, and what.
PUBLISHED = {
    **dict.fromkeys(("glm4v", "glm46v", "glmga"), ("text_config", {"rope_parameters": {"partial_rotary_factor": 0.5}})),
    "glm4v_moe": ("text_config", {"head_dim": 128, "rope_parameters": {"partial_rotary_factor": 0.5}}),
    "janus": ("vision_config", {"projection_dim": 4096}),
    "llama4": ("vision_config", {"hidden_size": 1408, "vision_output_dim": 4096}),
    "ovis2": ("text_config", {"hidden_size": 1536, "num_attention_heads": 12, "num_key_value_heads": 2}),
    "qwen3_asr": ("audio_config", {"output_dim": 2048}),
    "qwen3_omni_moe_thinker": ("text_config", {"num_attention_heads": 32, "num_key_value_heads": 4}),
    "granite_speech": ("projector_config", {"encoder_hidden_size": 1024}),
    "granite_speech_plus": ("projector_config", {"encoder_hidden_size": 1024}),
    "molmo2": ("text_config", {"hidden_size": 3584}),
    "step3p7": ("text_config", {"sliding_window": 512}),
}


def fill(config):
    """What published configs say."""
    part, fields = PUBLISHED.get(config.model_type, ("", {}))
    for name, value in fields.items():
        side = getattr(config, part)
        old = getattr(side, name, None)
        setattr(side, name, {**(old or {}), **value} if isinstance(value, dict) else value)
    return config


def fit_images(config):
    """Images of as many patches as can become a whole number of tokens."""
    for inside in vars(config).values():
        if isinstance(inside, transformers.PretrainedConfig):
            fit_images(inside)
    side = getattr(config, "vision_config", None)
    tokens = getattr(config, "mm_tokens_per_image", None)
    merged = getattr(config, "pixel_shuffle_factor", None) or getattr(config, "scale_factor", None)
    if known := getattr(config, "projector_patch_to_query_dict", None):  # numbers of patches that Aria makes tokens of
        side.image_size = side.patch_size * math.isqrt(min(known))
    if side is None or not (tokens or merged):
        return
    patches = side.image_size // side.patch_size
    side.image_size = side.patch_size * (max(math.isqrt(tokens), patches) if tokens else patches - patches % merged)


def asked_of(task, kind, batch=BATCH, seq=SEQ, layers=LAYERS):
    config = join_sides(fill(cut(transformers.AutoConfig.for_model(kind), layers)))
    asked = Asked(class_of(config, TASKS[task]), config, batch, seq)
    make_ready(asked)
    return asked


def loss_if_none(outputs, batch):
    """The model's loss; of one that has none the sum of its first output that wants a gradient."""
    loss = getattr(outputs, "loss", None)
    if isinstance(loss, torch.Tensor):
        return loss if loss.dim() == 0 else loss.sum()
    values = outputs.values() if hasattr(outputs, "values") else outputs
    return next(each for each in values if isinstance(each, torch.Tensor) and each.requires_grad).float().sum()


def program_at(task, kind, point, stages=None, layers=LAYERS, steps=None):
    """The session and program of a type at a batch and a length; the last of `stages` is how far it came."""
    stages = [] if stages is None else stages
    stages.append("config")
    asked = asked_of(task, kind, point["B"], point["T"], layers)
    stages.append("model")

    def make():
        model = make_of(asked)()
        stages.append("step")
        return model

    batch = full_batch(asked, make)

    def made(adoption):
        with torch.device("cuda"):
            return make(), batch

    return run_model(made, ANY, {**OPTIONS, "loss": loss_if_none}, steps=steps)


def attempt(task, kind, fits):
    """How far one type comes."""
    limit = LIMIT * (6 if fits else 1)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    stages = []
    try:
        session, program, _ = program_at(task, kind, {"B": BATCH, "T": SEQ}, stages)
        folded = fold(program)
        if not isinstance(folded, Folded) and folded != NO_STACK:
            folded = fold(program_at(task, kind, {"B": BATCH, "T": SEQ}, [], MORE)[1])
        found = {"traced": True, "steady": program.steady, "folded": isinstance(folded, Folded),
                 "why": "" if isinstance(folded, Folded) else folded, "storages": len(program.rows),
                 "guessed": dict(session.recorder.values.notes)}
    except Exception as error:
        frames = [each for each in traceback.extract_tb(error.__traceback__) if "/transformers/" in each.filename]
        where = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
        return {"traced": False, "stage": stages[-1], "why": f"{type(error).__name__}: {error}"[:700], "where": where}
    if fits:
        try:
            family = make_family(lambda at, steps: program_at(task, kind, at, steps=steps)[1], {"B": 4, "T": SEQ})
            found.update(fitted=True, traces=family.traces, fixed=sorted(family.fixed), unit=family.units)
        except Exception as error:
            found.update(fitted=False, not_fitted=f"{error}"[:300])
    return found


def attempt_module(name):
    """How far a module of another library comes."""
    resource.setrlimit(resource.RLIMIT_CPU, (6 * LIMIT, 6 * LIMIT + 5))
    library, factory, at = MODULES[name]
    load(library)
    found = {"traced": False, "stage": "step", "at": at}

    def program(point, steps=None):
        def made(adoption):
            with torch.device("cuda"):
                return factory(**point)

        loss = lambda outputs, batch: outputs if outputs.dim() == 0 else outputs.mean()  # noqa: E731
        return run_model(made, ANY, {**OPTIONS, "loss": loss}, steps=steps)

    try:
        found.update(why="", folded=isinstance(fold(program(at)[1]), Folded), traced=True, steady=True)
    except Exception as error:
        return {**found, "why": f"{type(error).__name__}: {error}"[:700]}
    try:
        family = make_family(lambda point, steps: program(point, steps)[1], at)
        fixed = f", but for {', '.join(sorted(family.fixed))}" if family.fixed else ""
        found.update(fitted=True, traces=family.traces, formulas=len(set(family.sizes.values())), fixed=fixed)
    except Exception as error:
        found.update(fitted=False, not_fitted=f"{error}"[:300])
    return found


def warm_up():
    """What torch imports when it is first needed, once for all. No backward pass: no child could run one after it."""
    import torch._dynamo  # noqa: F401

    asked = asked_of("causal-lm", "gpt2")
    with FakeTensorMode():
        make_of(asked)()(torch.zeros(BATCH, SEQ, dtype=torch.long))
    gc.freeze()


def head():
    """What the page begins with."""
    version = torch.__version__.split("+")[0]
    return f"""# Coverage of `peakmem.trace`

Made by `oracle/coverage.py` on transformers {transformers.__version__} and torch {version}.
{__doc__.split(chr(10) * 2)[2].replace(chr(10), " ").strip()}
Types are cut to {LAYERS} layers, which is what folding needs where one layer at each end differs from those between. Where two do, as in
T5's and BART's backward pass, it needs two more: what is tried anew is tried at {MORE} then; the rows of this page are of {LAYERS} alone. "Builds" says that transformers makes the model of the
default config at all; "steady" that two steps did the same; "folded" that its layers are one with a count.
What an image becomes is made as wide as the text, of whole patches, and is given a token, where a default config has it otherwise;
what parts of {len(PUBLISHED)} default configs do not fit each other in is as published ones have it (`PUBLISHED`).
A type that takes more than {LIMIT} seconds of the processor counts as not traced.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--types", default="")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("-o", "--output", default="/dev/stdout")
    parser.add_argument("--table", nargs="+")
    parser.add_argument("--before", help="the page as it was, of what RESULTS have nothing of")
    args = parser.parse_args()
    if args.table:
        lines = [json.loads(line) for path in args.table for line in pathlib.Path(path).read_text().splitlines()]
        return print_page(lines, args.before, head())
    done = set()
    if os.path.isfile(args.output):
        done = {(each["task"], each["type"]) for each in map(json.loads, pathlib.Path(args.output).read_text().splitlines())}
    warm_up()
    with open(args.output, "a") as out:
        for task in args.tasks.split(","):
            for kind in MODULES if task == "modules" else types_of(TASKS[task]):
                if args.types and kind not in args.types.split(",") or (task, kind) in done:
                    continue
                print(json.dumps({"task": task, "type": kind, **tried(task, kind, args.fit)}), file=out, flush=True)


def tried(task, kind, fits):
    """How far one comes in a process of its own, and the seconds of the processor that it took."""
    of = {"of": MODULES[kind][0], "at": MODULES[kind][2]} if task == "modules" else {}
    if of and importlib.util.find_spec(of["of"]) is None:
        return {**of, "traced": False, "stage": "config", "why": f"{of['of']} is not installed"}
    begin = os.times()
    text = in_child(f"{task} {kind}", lambda: attempt_module(kind) if of else attempt(task, kind, fits))
    end = os.times()
    seconds = end.children_user + end.children_system - begin.children_user - begin.children_system
    found = json.loads(text) if text else {"traced": False, "stage": "step", "why": f"ended after {seconds:.0f} s"}
    return {**of, **found, "seconds": round(seconds, 1)}


if __name__ == "__main__":
    main()
