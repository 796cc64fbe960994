#!/usr/bin/env python3
"""Which models of transformers peakmem.trace traces: every type of a mapping, its default config cut to four layers.

    coverage.py [--tasks causal-lm,masked-lm] [--types gpt2,llama] -o RESULTS.jsonl
    coverage.py --table RESULTS.jsonl > docs/coverage.md

A type is tried on 2 sequences of 64 tokens (or 2 images), two or three steps of AdamW, in a process of its own. "Traced" says that
the steps ran and every allocation was logged; what they are held to, where there is something, are the records.
"""

import argparse
import collections
import json
import pathlib
import signal
import sys
import time
import types

ROOT = pathlib.Path(__file__).resolve().parent.parent
package = types.ModuleType("peakmem")  # the tracer alone, whose package needs the compiled core for all else
package.__path__ = [str(ROOT / "python" / "peakmem")]
sys.modules["peakmem"] = package
sys.modules["device"] = types.SimpleNamespace(HAS_KERNELS=False)

import torch  # noqa: E402
import transformers  # noqa: E402
import transformers.models.auto.modeling_auto as auto  # noqa: E402

from jobs import in_child  # noqa: E402
from peakmem.trace._fold import Folded, fold  # noqa: E402
from peakmem.trace._gpu import ANY  # noqa: E402
from peakmem.trace._steps import OPTIONS, program_of  # noqa: E402

transformers.logging.set_verbosity_error()

LIMIT = 90  # seconds a type
LAYERS = 4
BATCH, SEQ = 2, 64

#: The mapping and the class of each task, and what its batch has besides the ids.
TASKS = {
    "causal-lm": ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "AutoModelForCausalLM"),
    "masked-lm": ("MODEL_FOR_MASKED_LM_MAPPING_NAMES", "AutoModelForMaskedLM"),
    "seq2seq-lm": ("MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES", "AutoModelForSeq2SeqLM"),
    "sequence-classification": ("MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES", "AutoModelForSequenceClassification"),
    "token-classification": ("MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES", "AutoModelForTokenClassification"),
    "question-answering": ("MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES", "AutoModelForQuestionAnswering"),
    "image-classification": ("MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES", "AutoModelForImageClassification"),
}
COUNTS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers",
          "num_decoder_layers", "num_encoder_layers")


def cut(config):
    """Fewer layers, in the config and in those inside it; lists with an entry a layer are cut with them."""
    for name in COUNTS:
        count = getattr(config, name, None)
        if isinstance(count, int) and count > LAYERS:
            for key, value in list(vars(config).items()):
                if isinstance(value, (list, tuple)) and len(value) == count:
                    setattr(config, key, type(value)(value[:LAYERS]))
            setattr(config, name, LAYERS)
    for value in list(vars(config).values()):
        if isinstance(value, transformers.PretrainedConfig):
            cut(value)
    return config


def batch_of(task, config):
    """A batch by the task."""
    ids = torch.ones(BATCH, SEQ, dtype=torch.long)
    ones = torch.ones(BATCH, dtype=torch.long)
    if task == "image-classification":
        size = getattr(config, "image_size", None) or 224
        height, width = size if isinstance(size, (list, tuple)) else (size, size)
        return {"pixel_values": torch.empty(BATCH, getattr(config, "num_channels", 3), height, width, device="meta"), "labels": ones}
    if task == "sequence-classification":
        return {"input_ids": ids, "labels": ones}
    if task == "question-answering":
        return {"input_ids": ids, "start_positions": ones, "end_positions": ones}
    return {"input_ids": ids, "labels": ids.clone() if task != "token-classification" else ids * 0}


def attempt(task, kind):
    """How far one type comes."""
    signal.alarm(LIMIT)
    stage = "config"
    try:
        config = cut(transformers.AutoConfig.for_model(kind))
        if hasattr(config, "use_cache"):
            config.use_cache = False
        if task == "sequence-classification" and getattr(config, "pad_token_id", None) is None:
            config.pad_token_id = 0
        maker = getattr(transformers, TASKS[task][1])
        stage = "model"
        with torch.device("meta"):
            maker.from_config(config)
        stage = "step"

        def make(adoption):
            with torch.device("cuda"):
                return maker.from_config(config), batch_of(task, config)

        program = program_of(make, ANY, dict(OPTIONS))
        folded = fold(program)
        return {"traced": True, "steady": program.steady, "folded": isinstance(folded, Folded),
                "why": "" if isinstance(folded, Folded) else folded, "storages": len(program.rows)}
    except Exception as error:
        return {"traced": False, "stage": stage, "why": f"{type(error).__name__}: {error}"[:300]}


def table(lines):
    """The page."""
    rows = collections.defaultdict(list)
    for line in lines:
        rows[line["task"]].append(line)
    print("# Coverage of transformers\n")
    print(f"`oracle/coverage.py` on transformers {transformers.__version__} and torch {torch.__version__.split('+')[0]}: every model type of a mapping, its")
    print(f"default config cut to {LAYERS} layers, AdamW, 2 sequences of 64 tokens or 2 images. \"Builds\" says that transformers makes the")
    print("model of that config at all; \"traced\" that training steps ran on fakes and every allocation was logged; \"steady\" that two steps")
    print("did the same; \"folded\" that its layers are one with a count. A type that takes longer than 90 s counts as not traced.\n")
    print("| task | types | build | traced | of those that build | steady | folded |\n|---|--:|--:|--:|--:|--:|--:|")
    for task, found in rows.items():
        builds = [each for each in found if each.get("stage") not in ("config", "model")]
        traced = [each for each in found if each["traced"]]
        steady, folded = (sum(bool(each[key]) for each in traced) for key in ("steady", "folded"))
        print(f"| {task} | {len(found)} | {len(builds)} | {len(traced)} | {100 * len(traced) / max(len(builds), 1):.0f} % | {steady} | {folded} |")
    print("\n## Not traced\n\n| task | type | where | why |\n|---|---|---|---|")
    for line in lines:
        if not line["traced"]:
            why = line["why"].replace("|", "\\|").replace("\n", " ")[:140]
            print(f"| {line['task']} | {line['type']} | {line['stage']} | {why} |")
    print("\n## Traced and not folded\n\n| task | type | why |\n|---|---|---|")
    for line in lines:
        if line["traced"] and not line["folded"]:
            print(f"| {line['task']} | {line['type']} | {line['why'].replace('|', ' ')[:140]} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--types", default="")
    parser.add_argument("-o", "--output")
    parser.add_argument("--table")
    args = parser.parse_args()
    if args.table:
        return table([json.loads(line) for line in pathlib.Path(args.table).read_text().splitlines()])
    out = open(args.output, "a") if args.output else sys.stdout
    for task in args.tasks.split(","):
        for kind in dict.fromkeys(getattr(auto, TASKS[task][0])):
            if args.types and kind not in args.types.split(","):
                continue
            begin = time.time()
            text = in_child(f"{task} {kind}", lambda: attempt(task, kind))
            found = json.loads(text) if text else {"traced": False, "stage": "step", "why": f"ended after {time.time() - begin:.0f} s"}
            print(json.dumps({"task": task, "type": kind, **found, "seconds": round(time.time() - begin, 1)}), file=out, flush=True)


if __name__ == "__main__":
    main()
