#!/usr/bin/env python3
"""Hold hand-written families to formulas that are fitted to traces: term by term, and at random sizes every phase.

    fitted.py --peakmem build/peakmem [-o RESULTS.jsonl] [FAMILY...]
    fitted.py --table RESULTS.jsonl... > docs/fitted.md

A small model of the family is made a program of its batch, length, widths, layers and vocabulary by peakmem.trace, as a file. At
sizes that were not traced the core answers from this file and from the config: the formulas of the peak and of the highest of every
phase must have the same terms, and every phase the same bytes. Prints what differs; exit code 1 where anything does. What RESULTS.jsonl
has already is passed over.
"""

import argparse
import contextlib
import json
import pathlib
import random
import resource
import subprocess
import sys
import tempfile

import coverage  # the tracer without the compiled core
import torch
import transformers

import families
import terms
from fitted_page import print_page
from jobs import in_child
from peakmem._errors import InputError
from peakmem.trace._asked import Asked
from peakmem.trace._family import make_family
from peakmem.trace._family_file import family_json
from peakmem.trace._file import as_text
from peakmem.trace._gpu import ANY
from peakmem.trace._guards import guards_of
from peakmem.trace._steps import OPTIONS, run_model
from peakmem.trace._transformers import class_of, full_batch, make_of, make_ready

#: Letters, and their values where the program is made.
AT = {"B": 4, "T": 48, "C": 128, "F": 192, "L": 6, "V": 1000}
#: What families.py calls sizes that are letters, and those that stay numbers.
SIZES = {"hidden": "C", "ffn": "F", "layers": "L", "vocab": "V", "decoder": "L", "decoder_ffn": "F"}
NUMBERS = {"heads": 4, "decoder_heads": 4, "groups": 2, "groups_of_one": 4, "head_dim": 24, "embedding": 40, "experts": 4, "taken": 2,
           "expert": 56, "shared": 72, "dense": 88, "queries": 48, "values": 40, "rest": 16, "turned": 8, "value_dim": 24}  # fmt: skip
IMAGES = ("image-classification",)
WIDTH = 32  # heads of whole sizes, which are turned in pairs and which kernels take as they are
POINTS = 3  # where the two are held side by side
DRAWS = 8  # until such a point is one where the formulas hold
#: Fields without which a config does not fit so few tokens, or has patterns of layers that are longer than the stack.
FIXED = {"phi3": {"pad_token_id": 0}, "gemma3_text": {"layer_types": None, "sliding_window_pattern": 2}}
LIMIT = 600  # seconds of the processor a family

ROWS = {row.name: row for row in families.ROWS}


def letters(row):
    """The sizes that are letters, where the program is made."""
    own = {SIZES[size] for size in row.sizes if size in SIZES}
    without = "T" if row.tasks[0] in IMAGES else ""
    return {letter: value for letter, value in AT.items() if letter in own or letter in "BT" and letter != without}


def precision(row):
    """Of experts bf16: the core's grouped products take nothing else."""
    return "bf16" if {"experts", "expert"} & row.sizes.keys() else "fp32"


def fields_at(row, point):
    """The config's fields."""
    sizes = NUMBERS | {size: point[letter] for size, letter in SIZES.items() if letter in point}
    return {"model_type": row.name, **{name: sizes[size] for size, name in row.sizes.items() if size in sizes}, **FIXED.get(row.name, {}), **row.fixed}


def model_at(row, point):
    """The model and its batch."""
    fields = fields_at(row, point)
    if point["C"] % WIDTH:
        raise InputError("at", f"{point['C']} is no width", f"a multiple of {WIDTH}")
    try:
        config = transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)
    except Exception as error:  # a width that heads do not divide
        raise InputError("at", f"{error}", "other sizes") from error
    mapping = "SPEECH_SEQ_2_SEQ" if row.name == "whisper" else coverage.TASKS[row.tasks[0]]
    asked = Asked(class_of(config, mapping), config, point["B"], point.get("T", 1))
    make_ready(asked)
    make = make_of(asked, getattr(torch, {"bf16": "bfloat16", "fp32": "float32"}[precision(row)]))
    return make(), full_batch(asked, make)


def program_at(row, point, steps=None):
    def made(adoption):
        with torch.device("cuda"):
            return model_at(row, point)

    return run_model(made, ANY, dict(OPTIONS), steps=steps)[1]


def fitted(row):
    """The file's members, or why there are none."""
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
    at = letters(row)
    try:
        family = make_family(lambda point, steps: program_at(row, point, steps), at)
        with contextlib.suppress(Exception):  # what runs at numbers may not at symbols
            family.guards = guards_of(lambda **point: model_at(row, point), family.points, ANY, None)
    except InputError as error:
        return {"why": str(error)}
    return {"members": family_json(family, {"model": row.name}), "units": family.units, "fixed": sorted(family.fixed),
            "traces": family.traces, "at": at}  # fmt: skip


def asked(program, *words):
    """What the core answers; its refusal as text."""
    done = subprocess.run([program, *words, "--json"], capture_output=True, text=True)
    return json.loads(done.stdout) if done.stdout else done.stderr.strip()


def phases(program, *words):
    """What the core says of the steps' phases."""
    answer = asked(program, *words)
    if isinstance(answer, str):
        return answer
    fields = ("phase", "step", "start_bytes", "peak_bytes", "end_bytes")
    return [tuple(each[name] for name in fields) for each in answer["phases"] if each["phase"] != "model"]  # before it is there


def formulas(fixed, family, traced):
    """Of both the formulas of the peak and of every phase's highest moment, in letters that both have; what is refused as text."""
    both = [answer if isinstance(answer, str) else answer["formula"] for answer in (family, traced)]
    if any(isinstance(answer, str) for answer in both):
        return both
    letters = terms.shared(*(answer["symbols"] for answer in both)) - set(fixed)
    return [read_all(answer, terms.values(answer["symbols"], letters)) for answer in both]


def read_all(answer, names):
    wanted = [answer["peak"], *answer["phases"]]
    return {f"{each['name']} of step {each['step']}": terms.read(each["formula"], names) for each in wanted}


def difference(ours, theirs):
    """What two answers do not have in common, as lines."""
    if isinstance(ours, str) or isinstance(theirs, str):
        return [f"  family {ours}", f"  traced {theirs}"]
    if isinstance(ours, list):
        ours, theirs = (dict(enumerate(each)) for each in (ours, theirs))
        return [f"  family {ours[key]}\n  traced {theirs.get(key)}" for key in ours if ours[key] != theirs.get(key)]
    return [f"  {key}: family - traced = {ours[key] - theirs[key]}" for key in ours if key not in theirs or ours[key] != theirs[key]]


def another(made, dice):
    """A point at random, with layers enough for a letter, where a head's own size is not by chance the width's share."""
    point = dict(made["at"])
    for letter, unit in made["units"].items():
        if letter not in made["fixed"]:
            times = made["at"][letter] // unit
            point[letter] = unit * dice.randint(times if letter == "L" else max(2, times // 2), times * 3)
    by_chance = point["C"] == NUMBERS["heads"] * NUMBERS["head_dim"]
    return another(made, dice) if by_chance and "C" not in made["fixed"] else point


def questions(row, made, point, folder):
    """What the core is asked at a point, of the family and of the file."""
    config = pathlib.Path(folder) / "config.json"
    config.write_text(json.dumps(fields_at(row, point)))
    lengths = [f"--seq={point['T']}"] if "T" in point and row.name != "whisper" else []  # which hears seconds
    lengths += [f"--target-seq={point['T']}"] if row.tasks[0] == "seq2seq-lm" else []
    task = ["--use-cache", "no", "--precision", precision(row), "--task", row.tasks[0]]
    family = [str(config), "--batch", str(point["B"]), *lengths, *task]
    return family, [made["file"], "--at", ",".join(f"{letter}={value}" for letter, value in point.items())]


def held(program, row, made, folder):
    """At how many points the phases' bytes are the same, and the terms; how many terms, and what differs first."""
    dice, found = random.Random(1), {"bytes": 0, "formulas": 0, "terms": 0, "differs": []}
    done = 0
    for _ in range(POINTS * DRAWS):
        family, traced = questions(row, made, another(made, dice), folder)
        theirs = phases(program, *traced)
        if isinstance(theirs, str) and "does not hold at" in theirs:  # outside of where the formulas hold
            continue
        ours = phases(program, *family)
        found["bytes"] += ours == theirs
        told = difference(ours, theirs)
        ours, theirs = formulas(made["fixed"], asked(program, "formula", *family), asked(program, "formula", *traced))
        found["formulas"] += ours == theirs
        if isinstance(ours, dict):
            found["terms"] += sum(len(each.as_ordered_terms()) for each in ours.values())
        told += difference(ours, theirs)
        if told and not found["differs"]:
            found["differs"] = [traced[-1], *told]
        done += 1
        if done == POINTS:
            break
    return found


def line_of(program, name, folder):
    """What is found of a family."""
    row = ROWS[name]
    text = in_child(name, lambda: fitted(row))
    made = json.loads(text) if text else {"why": f"more than {LIMIT} seconds, or failed"}
    about = {"family": name, "task": row.tasks[0], "points": POINTS}
    if "why" in made:
        return about | {"why": made["why"]}
    file = pathlib.Path(folder) / f"{row.name}.peakmem"
    file.write_text(as_text(made["members"]))
    made["file"] = str(file)
    return about | {"letters": list(made["at"]), "fixed": made["fixed"], "traces": made["traces"]} | held(program, row, made, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--peakmem", default="build/peakmem", help="the program (default build/peakmem)")
    parser.add_argument("-o", "--output", type=pathlib.Path, help="a file of results, which is gone on with")
    parser.add_argument("--table", action="store_true", help="print the page of files of results")
    parser.add_argument("families", nargs="*", help="families, or files of results (default: all families)")
    args = parser.parse_args()
    if args.table:
        lines = [json.loads(line) for path in args.families for line in pathlib.Path(path).read_text().splitlines()]
        print_page(lines, transformers.__version__, torch.__version__)
        return 0
    coverage.warm_up()
    known = args.output.read_text().splitlines() if args.output and args.output.exists() else []
    lines = [json.loads(line) for line in known]
    with tempfile.TemporaryDirectory() as folder:
        for name in args.families or ROWS:
            if any(line["family"] == name for line in lines):
                continue
            line = line_of(args.peakmem, name, folder)
            lines.append(line)
            print(json.dumps({key: value for key, value in line.items() if key != "differs"}), *line.get("differs", []), sep="\n", flush=True)
            if args.output:
                with args.output.open("a") as out:
                    print(json.dumps(line), file=out)
    return 0 if all(line.get("formulas") == line.get("bytes") == POINTS for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
