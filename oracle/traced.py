#!/usr/bin/env python3
"""Hold peakmem.trace to the records: the same cases, on its own device, must have the same bytes in every phase.

    traced.py RECORDS.jsonl... [--every N] [--first N] [--only FILTER]

The loop is the one the records were made with, but nobody tells the tracer of its phases and of what tensors are for: it
finds them. Cases of other versions of transformers are passed over. Prints what differs, and a line of totals; exit code 1
where anything does.
"""

import argparse
import collections
import contextlib
import dataclasses
import json
import pathlib
import signal
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parent.parent

# The tracer alone, whose package needs the compiled core for all else.
package = types.ModuleType("peakmem")
package.__path__ = [str(ROOT / "python" / "peakmem")]
sys.modules["peakmem"] = package
# What the oracle's modules ask of its own device, which is not loaded; the tracer knows positions by their values.
sys.modules["device"] = types.SimpleNamespace(HAS_KERNELS=False, know_positions=lambda: None)

import transformers  # noqa: E402

import fused  # noqa: E402
from data_parallel import UsedParameters  # noqa: E402
from jobs import apart, read_lines  # noqa: E402
from peakmem.trace._gpu import ANY  # noqa: E402
from peakmem.trace._session import Session  # noqa: E402
import training  # noqa: E402

transformers.logging.set_verbosity_error()


LIMIT = 300  # seconds for a case


class Nobody:
    """A counter that is told of everything and looks at nothing but how many events there were at the end."""

    def __init__(self, session):
        self.session, self.end, self.category = session, 0, ""

    def phase(self, name, step):
        if name == "input" and step in (1, 1.0):
            self.session.phases.ready()
        if name == "end":  # that the program then lets go of everything is not part of it
            self.end = self.session.events

    def label(self, tensors, category):
        pass

    def resized(self, storage):  # the tracer is told by itself
        pass

    @property
    def blind(self):
        return self.session.recorder.blind

    @blind.setter
    def blind(self, value):
        self.session.recorder.blind = value


def phases_of(session):
    """Bytes at the start, the peak and the end of each phase, as the records have them."""
    log, starts = session.recorder.log, session.phases.list
    found, level = [], 0
    for number, phase in enumerate(starts):
        last = starts[number + 1].first if number + 1 < len(starts) else len(log.events)
        start = peak = level
        for event in log.events[phase.first : last]:
            level += log.storage(event).bytes * (1 if event > 0 else -1)
            peak = max(peak, level)
        found.append((phase.name, phase.step, phase.micro, start, peak, level))
    return found


def with_image_tokens(case, config, build=training.build_batch):
    """The batch, whose ids stand for the features of its images behind a word each: of a record nobody knows its ids, but a model
    that knows them counts."""
    batch = build(case, config)
    if case.get("images") and "input_ids" in batch:
        vision = config.vision_config
        features = (getattr(vision, "image_size", 0) // vision.patch_size) ** 2
        features = case.get("image_tokens") or getattr(config, "mm_tokens_per_image", None) or features
        token = getattr(config, "image_token_id", None) or config.image_token_index
        for image in range(case["images"]):
            batch["input_ids"][:, 1 + image * (features + 1) :][:, :features].fill_(token)
    return batch


training.build_batch = with_image_tokens


def gpu_of(case):
    """One of the case's compute capability."""
    return dataclasses.replace(ANY, capability=divmod(case["capability"], 10)) if "capability" in case else ANY


def measure(case):
    """The phases of a case, as the tracer finds them."""
    session = Session(gpu_of(case))
    used = UsedParameters() if "ddp" in (case.get("ranks") or {}) else contextlib.nullcontext()
    with fused.scope(case), session.active(), used:
        nobody = Nobody(session)
        training.run(case, nobody, 2)
    del session.recorder.log.events[nobody.end :]
    return phases_of(session)


def wanted(record):
    """The record's phases in the same terms."""
    found = []
    for each in record["phases"]:
        if each["phase"] in ("model", "end", "load"):
            continue
        step, part = divmod(round(each["step"] * 100), 100)
        once = each["phase"] in ("clip", "optimizer", "evaluate")
        found.append((each["phase"], step, -1 if once else part, each["start"], each["peak"], each["end"]))
    return found


def scored(phases):
    """What runs without gradients before a step's forward pass, as GRPO scores what it has made, is its input."""
    found = []
    for number, (name, step, micro, start, peak, end) in enumerate(phases):
        follows = phases[number + 1][0] if number + 1 < len(phases) else ""
        if name == "evaluate" and follows in ("input", "forward", "evaluate"):
            name, step, micro = "input", phases[number + 1][1], max(micro, 0)
        if name == "input" and found and found[-1][0] == "input":
            start, peak, micro = found[-1][3], max(peak, found[-1][4]), found.pop()[2]
        found.append((name, step, micro, start, peak, end))
    return found


def joined(phases):
    """With the input as part of the forward pass, and without what is there when a phase begins or ends: a trainer binds the
    batch where no module runs yet, divides the loss before its backward pass, and forgets the last norm before it clips."""
    found = []
    for name, step, micro, _, peak, _ in phases:
        if found and found[-1][0] == "input" and name == "forward":
            peak = max(peak, found.pop()[3])
        found.append((name, step, micro, peak))
    return found


def compare(name, record):
    """What differs, as text; nothing where all is the same."""
    signal.alarm(LIMIT)  # in a process of its own, which then ends
    got = [each for each in measure(record["case"]) if each[0] != "model"]
    want = wanted(record)
    if record["case"].get("objective") == "grpo":
        got = scored(got)
    if record["case"].get("trainer", "loop") != "loop":
        got, want = joined(got), joined(want)
    lines = [f"  traced {a}\n  record {b}" for a, b in zip(got, want) if a != b]
    if len(got) != len(want):
        lines.append(f"  traced {[each[:3] for each in got]}\n  record {[each[:3] for each in want]}")
    return "\n".join(lines)


def chosen(args):
    """The records that are asked for, with their names."""
    for path in args.records:
        lines = [(n, what) for n, what in read_lines([path]) if what["case"].get("transformers", "5.23") == "5.23"]
        yield from ((name, record) for name, record in lines[args.first :: args.every] if args.only in name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("records", nargs="+")
    parser.add_argument("--every", type=int, default=1, help="only every N-th of each file")
    parser.add_argument("--first", type=int, default=0, help="from this one on (default 0)")
    parser.add_argument("--only", default="", help="only those whose name has this in it")
    args = parser.parse_args()
    tally = collections.Counter()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was found until then is printed
    try:
        for name, record in chosen(args):
            answer = apart(name, record, compare)
            kind = "failed" if answer is None else "the same" if answer == '""' else "different"
            tally[kind] += 1
            if kind != "the same":
                told = json.loads(answer) if answer else ""
                print(f"{name} {kind}: {record['case']}\n{told[:1500]}", flush=True)
    except KeyboardInterrupt:
        print(f"ended after {name}")
    print(", ".join(f"{tally[kind]} {kind}" for kind in ("the same", "different", "failed")))
    return 1 if tally["different"] or tally["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
