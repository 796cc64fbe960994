#!/usr/bin/env python3
"""Random training recipes: measured by the oracle, and asked of the program.

    random_cases.py --seed 1 --count 200 --program build/peakmem [-o FOLDER] [--family a,b] [--refused 0.1]

A case is made from the seed and its number alone (`--first 17 --count 1` makes the 17th again). It is exact, or it
differs; or only one of the two answers. The folder gets exact.jsonl, differs.jsonl (records), we_answer.jsonl (cases
where PyTorch fails) and we_refuse.jsonl (PyTorch runs), each with what was said beside the case.
"""

import argparse
import collections
import json
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile

import measure  # first: it loads the fake CUDA device before torch
import transformers

import families
from jobs import apart

VERSION = ".".join(transformers.__version__.split(".")[:2])
OLDER = {"4.48": ("llama", "mistral", "mixtral", "granite", "gpt_bigcode"), "4.45": ("granite",)}
LIGER = ("llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe", "gemma", "gemma2", "gemma3_text", "olmo2", "granite", "phi3")
OPTIMIZERS = ("sgd/loop", "sgd/foreach", "sgd-momentum/foreach", "sgd/fused", "adam/foreach", "adagrad/foreach", "adagrad/fused",
              "rmsprop/loop", "nadam/foreach", "radam/foreach", "adamax/foreach", "adadelta/foreach", "asgd/foreach", "adafactor",
              "torch-adafactor/foreach", "torch-adafactor/loop", "lion/loop", "lion/foreach", "adamw_8bit",
              "paged_adamw_32bit", "paged_adamw_8bit", "lion_8bit", "ademamix_8bit", "muon")
SLACK = 64  # bytes by which a phase that is no peak may differ: an optimizer's scalars of a norm


class Maker:
    """Draws one case; `chance` and `pick` are its dice."""

    def __init__(self, seed, number, wanted):
        self.dice = random.Random(f"{seed}:{number}")
        known = OLDER.get(VERSION, [row.name for row in families.ROWS])
        self.row = self.pick([row for row in families.ROWS if row.name in known and (not wanted or row.name in wanted)])
        self.case = {"task": self.pick(self.row.tasks), "config": self.config()}

    def chance(self, share):
        return self.dice.random() < share

    def pick(self, choices):
        return self.dice.choice(list(choices))

    def set(self, share, **fields):
        """With this chance, each field becomes one of its choices."""
        if self.chance(share):
            self.case |= {name: self.pick(choices) for name, choices in fields.items()}

    def sizes(self):
        """Sizes that fit together, by our own names."""
        heads = self.pick((1, 2, 3, 4, 4, 6, 8))
        width = self.pick((2, 4, 8, 10, 12, 16, 16, 20, 24, 32)) if self.chance(0.9) else self.pick((64, 80, 96, 128, 160))
        experts = self.pick((2, 3, 4, 8))
        latents = self.latents(heads) if "values" in self.row.sizes else {}
        ffn = self.pick((16, 36, 56, 96, 100, 157, 176, 256))
        return latents | {"hidden": heads * width, "heads": heads, "ffn": ffn, "decoder_heads": heads, "decoder_ffn": ffn, "dense": 2 * ffn,
                          "layers": self.pick((1, 2, 3, 4, 5, 7)), "vocab": self.pick((50, 101, 211, 512, 997, 1000, 4001)),
                          "groups": self.pick([n for n in range(1, heads + 1) if heads % n == 0]),  # the default need not divide them
                          "head_dim": width if self.chance(0.6) else self.pick((8, 14, 16, 24, 40)), "experts": experts,
                          "taken": self.pick(range(1, min(experts, 4) + 1)), "expert": self.pick((16, 24, 48, 50)),
                          "shared": self.pick((24, 40, 50)), "embedding": self.pick((16, 24, heads * width)),
                          "decoder": self.pick((1, 2, 3, 5))}

    def latents(self, heads):
        """What DeepSeek's narrow projections have besides."""
        return {"groups_of_one": heads, "queries": self.pick((12, 24, 32)), "values": self.pick((8, 16, 30)),
                "rest": self.pick((4, 8, 16, 18)), "turned": self.pick((4, 8, 16)), "value_dim": self.pick((5, 8, 16, 24))}

    def config(self):
        """A config of the family's; what a family can leave to its default it sometimes does."""
        sizes = self.sizes()
        optional = {"head_dim": 0.4, "decoder": 0.4}
        config = {name: sizes[what] for what, name in self.row.sizes.items() if self.chance(optional.get(what, 1))}
        config |= self.row.fixed
        for name, choices in self.row.options.items():
            if self.chance(0.12):
                config[name] = self.pick(choices)
        if self.chance(0.5):
            config["num_labels"] = self.pick((1, 2, 3, 7))
        if self.chance(0.1):
            config["problem_type"] = self.pick(("multi_label_classification", "regression"))
        if self.chance(0.85):
            config["pad_token_id"] = 0
        return config | {"model_type": self.row.name}

    def reads(self):
        """Whether how long a sequence is is no matter of the config."""
        return "vocab" in self.row.sizes and self.row.name != "whisper"

    def make(self):
        """All of a case; what contradicts what is for the program to refuse."""
        case, reads = self.case, self.reads()
        case["batch"] = self.pick((1, 1, 2, 3, 5))
        if reads:
            case["seq"] = self.pick((1, 2, 7, 8, 16, 33, 40, 61, 64, 100, 128, 129, 200))
        if case["task"] == "seq2seq-lm":
            self.set(0.7 if reads else 1, target_seq=(1, 8, 17, 33, 60, 128))
        if case["task"] == "multiple-choice":
            case["choices"] = self.pick((1, 2, 3, 4))
        case["precision"] = self.pick(("fp32", "fp32", "bf16", "bf16", "bf16-autocast", "bf16-autocast", "fp16", "fp16-autocast"))
        if case["precision"] in ("bf16", "fp16"):
            self.set(0.2, autocast=("bf16", "fp16"))
        half = case["precision"] != "fp32"
        case["attention"] = self.pick(("sdpa", "sdpa", "sdpa", "eager") + (("flash2",) if half else ()))
        case["optimizer"] = self.pick(("adamw/foreach", "adamw/fused", "adamw/loop")) if self.chance(0.6) else self.pick(OPTIMIZERS)
        if case["optimizer"] == "muon":
            case |= {"rest": self.pick(("adamw/foreach", "sgd/loop")), "matrices": self.pick(("hidden", "all"))}
        self.set(0.4, checkpointing=(True,), reentrant=(False, False, True))
        self.set(0.3, accumulate=(2, 3))
        self.set(0.3, clip=(True,))
        self.adapt()
        self.loop()
        self.spread()
        if "experts" in self.row.sizes and self.chance(0.6):
            case["experts"] = "loop"
            self.set(0.3, imbalance=(1.5, 3), busiest=(0, 1))
        if VERSION in OLDER:
            case["transformers"] = VERSION
        return case

    def adapt(self):
        """Adapters, beside packed weights or not; else what is frozen."""
        case = self.case
        if self.chance(0.15):
            case["freeze"] = self.pick((["*.bias"], ["*norm*"], ["*embed*"], ["*.0.*"], ["*.1.*", "*embed*"]))
        elif self.chance(0.4):
            some = self.dice.sample(self.row.linear, self.pick(range(1, len(self.row.linear) + 1)))
            case["lora"] = {"r": self.pick((1, 4, 8)), "targets": "all-linear" if self.chance(0.3) else sorted(some)}
            if self.chance(0.3):
                case["lora"]["dropout"] = 0.1
            if self.chance(0.15):
                case["lora"]["fp32"] = False
            if self.chance(0.1):
                case["lora"]["save"] = self.pick((["lm_head"], ["score"], ["classifier"], ["lm_head", "embed_tokens"]))
            self.set(0.4, quantize=("nf4", "nf4", "fp4", "int8"), double_quant=(False, True), load=(False, False, True))
            for absent in ("double_quant", "load"):
                if not case.get(absent):
                    case.pop(absent, None)

    def loop(self):
        """Whose loop it is, and with whose kernels."""
        case = self.case
        kernels = {}
        if self.row.name in LIGER and self.chance(0.2):
            kernels = {kind: "fused" for kind in ("norm", "mlp", "rope") if self.chance(0.5)}
        if case["task"] == "causal-lm" and self.chance(0.3):
            kernels["loss"] = self.pick(("plain", "chunked") + (("fused-linear",) if self.row.name in LIGER else ()))
        self.set(0.3, trainer=("hf", "hf", "trl") if case["task"] == "causal-lm" else ("hf",))
        if case.get("trainer") == "trl":
            kernels["loss"] = "chunked"
        if kernels:
            case["kernels"] = kernels
        if "trainer" not in case:
            self.set(0.4, keep_outputs=(True,))
        if "checkpointing" not in case and self.reads() and self.row.tasks != families.ENCODER:
            self.set(0.2, use_cache=(True,))
        self.set(0.15, eval_batch=(1, 4, 7), eval_batches=(1, 2, 3))
        if "eval_batch" in case and "trainer" in case:
            self.set(0.5, eval_logits=(True,))

    def spread(self):
        """Ranks, now and then."""
        if not self.chance(0.2):
            return
        case = self.case
        ranks = self.pick(({"fsdp": 2}, {"fsdp": 3}, {"fsdp": 8}, {"replicate": 2, "fsdp": 4}, {"replicate": 2, "fsdp": 1},
                           {"ddp": 2}, {"ddp": 8, "bucket_view": True}, {"ddp": 4, "find_unused": True}))
        case["ranks"] = dict(ranks)
        if "ddp" in ranks:
            self.set(0.3, no_sync=(True,)) if "accumulate" in case else None
            return
        self.set(0.3, reshard_after_forward=(False,))
        if case["precision"] == "fp32" and self.chance(0.5):
            case |= {"precision": "bf16-fsdp", "reduce": self.pick(("fp32", "bf16"))}
        elif self.chance(0.3):
            case["ranks"] |= {"param_dtype": self.pick(("bf16", "fp32")), "reduce_dtype": self.pick(("fp32", "bf16"))}


def ask(program, record):
    """The program's comparison with a record, or why it refuses it."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        json.dump(record, file)
        file.flush()
        said = subprocess.run([program, "diff", file.name, "--json"], capture_output=True, text=True, timeout=60)
    if said.returncode == 0:
        return json.loads(said.stdout)["diff"], None
    return None, said.stderr.replace(file.name, "").strip()[:300] or f"exit {said.returncode}"


def run_apart(name, case, timeout):
    """PyTorch's record, or why it fails."""
    def record(name, case):
        signal.alarm(timeout)  # ends the process, whatever it is in
        try:
            return measure.measure(case)[0]
        except Exception as error:
            return {"failed": f"{type(error).__name__}: {error}"[:400]}
    try:
        text = apart(name, case, record)
    except Exception as error:  # while libraries are loaded
        return {"failed": f"{type(error).__name__}: {error}"[:400]}
    return json.loads(text) if text else {"failed": f"no answer in {timeout} s"}


def differences(compared, record):
    """Peaks that differ, by phase. One that is only what was there when its phase began is that of the phase before."""
    begins = {p["peak"] for p in record["phases"] if p["peak"] == p["start"]}
    phases = {p["name"]: p["difference"] for p in compared["phases"]
              if abs(p["difference"]) > SLACK and p["measured"] not in begins}
    peak = compared["difference_bytes"]
    return ({"peak": peak} if peak else {}) | phases


def judge(program, name, case, refused_share, timeout, dice):
    """What became of a case: the file it belongs to, and what is to be said of it."""
    blank = {"case": case, "peak": {"phase": "backward", "bytes": 1, "largest": []}, "phases": []}
    _, refusal = ask(program, blank)
    if refusal and dice.random() >= refused_share:
        return "refused", {"case": case, "why": refusal}
    record = run_apart(name, case, timeout)
    failed = record.get("failed")
    if refusal:
        return "both_refuse" if failed else "we_refuse", {"case": case, "why": refusal, "pytorch": failed}
    if failed:
        return "we_answer", {"case": case, "pytorch": failed}
    compared, why = ask(program, record)
    differs = differences(compared, record) if compared else {"refused": why}
    return ("differs", record | {"differs": differs}) if differs else ("exact", record)


def told(kind, what):
    """One line for the screen."""
    if kind == "differs":
        return str(what["differs"])
    return f"{what.get('why') or ''} | {what.get('pytorch') or ''}" if kind != "exact" else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", default="1")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--program", default="build/peakmem")
    parser.add_argument("--family", default="", help="only these, with commas")
    parser.add_argument("--refused", type=float, default=0.1, help="the share of what is refused that PyTorch runs too")
    parser.add_argument("--timeout", type=int, default=120, help="seconds for a case")
    parser.add_argument("--cases", action="store_true", help="only print the cases")
    parser.add_argument("-o", "--output", help="folder for what was found (default: none is kept)")
    args = parser.parse_args()
    wanted = [name for name in args.family.split(",") if name]
    counts = collections.Counter()
    reasons = collections.Counter()
    for number in range(args.first, args.first + args.count):
        case = Maker(args.seed, number, wanted).make()
        name = f"{args.seed}:{number}"
        if args.cases:
            print(json.dumps(case))
            continue
        kind, what = judge(args.program, name, case, args.refused, args.timeout, random.Random(name))
        counts[kind] += 1
        if what.get("why"):
            reasons[re.sub(r"\d+", "N", what["why"].splitlines()[0])[:110]] += 1
        print(f"{name} {kind}: {case['config']['model_type']} {told(kind, what)}", flush=True)
        if args.output:
            folder = pathlib.Path(args.output)
            folder.mkdir(parents=True, exist_ok=True)
            with open(folder / f"{kind}.jsonl", "a") as out:
                out.write(json.dumps({"number": name} | what, separators=(",", ":")) + "\n")
    for why, count in reasons.most_common():
        print(f"  {count:4} {why}")
    if not args.cases:
        print(dict(counts))
    return 1 if counts["differs"] or counts["we_answer"] else 0


if __name__ == "__main__":
    sys.exit(main())
