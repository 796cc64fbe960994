#!/usr/bin/env python3
"""Hold hand-written families to formulas that are fitted to traces: at random sizes both must say the same of every phase.

    fitted.py --peakmem build/peakmem [FAMILY...]

A small model of the family is made a program of its batch, length, widths, layers and vocabulary by peakmem.trace, as a file; at
sizes that were not traced the core answers from this file and from the config. Prints what differs; exit code 1 where anything does.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import coverage  # the tracer without the compiled core
import torch
import transformers

import families
from jobs import in_child
from peakmem._errors import InputError
from peakmem.trace._asked import Asked
from peakmem.trace._family import make_family
from peakmem.trace._family_file import family_json
from peakmem.trace._file import as_text
from peakmem.trace._gpu import ANY
from peakmem.trace._steps import OPTIONS, run_model
from peakmem.trace._transformers import class_of, full_batch, make_of, make_ready

#: Letters, what each is called in families.py, and its value where the program is made.
LETTERS = {"C": ("hidden", 128), "F": ("ffn", 192), "L": ("layers", 6), "V": ("vocab", 1000)}
HEADS, GROUPS, HEAD_DIM = 4, 2, 32
POINTS = 3  # where the two are held side by side
SAMPLE = ("gpt2", "llama", "qwen2", "gemma", "gpt_neox", "phi", "bert", "roberta", "distilbert", "electra")

ROWS = {row.name: row for row in families.ROWS}


def fields_at(row, point):
    """The config's fields."""
    sizes = {name: point[letter] for letter, (name, _) in LETTERS.items()}
    sizes |= {"heads": HEADS, "groups": GROUPS, "head_dim": HEAD_DIM}
    return {"model_type": row.name, **row.fixed, **{name: sizes[size] for size, name in row.sizes.items() if size in sizes}}


def program_at(row, point):
    fields = fields_at(row, point)
    try:
        config = transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)
    except Exception as error:  # a width that heads do not divide
        raise InputError("at", f"{error}", "other sizes") from error
    mapping = coverage.TASKS[row.tasks[0]]
    asked = Asked(class_of(config, mapping), config, point["B"], point["T"])
    make_ready(asked)
    make = make_of(asked)
    batch = full_batch(asked, make)

    def made(adoption):
        with torch.device("cuda"):
            return make(), batch

    return run_model(made, ANY, dict(OPTIONS))[1]


def fitted(row):
    """The file's members."""
    at = {"B": 4, "T": 48, **{letter: value for letter, (name, value) in LETTERS.items() if name in row.sizes}}
    family = make_family(lambda point: program_at(row, point), at)
    return {"members": family_json(family, {"model": row.name}), "units": family.units, "fixed": sorted(family.fixed), "at": at}


def phases(program, *words):
    """What the core says of the steps' phases; the text of its refusal where it refuses."""
    done = subprocess.run([program, *words, "--json"], capture_output=True, text=True)
    if not done.stdout:
        return done.stderr.strip()
    fields = ("phase", "step", "start_bytes", "peak_bytes", "end_bytes")
    phases = json.loads(done.stdout)["phases"]
    return [tuple(each[name] for name in fields) for each in phases if each["phase"] != "model"]  # before it is there


def held(program, row, made, folder):
    """How many points differ."""
    file = pathlib.Path(folder) / f"{row.name}.peakmem"
    file.write_text(as_text(made["members"]))
    dice, wrong = random.Random(1), 0
    for _ in range(POINTS):
        point = dict(made["at"])
        for letter, unit in made["units"].items():
            if letter not in made["fixed"]:
                point[letter] = unit * dice.randint(max(2, made["at"][letter] // unit // 2), made["at"][letter] // unit * 3)
        config = pathlib.Path(folder) / "config.json"
        config.write_text(json.dumps(fields_at(row, point)))
        sizes = ",".join(f"{letter}={value}" for letter, value in point.items())
        ours = phases(program, str(config), "--batch", str(point["B"]), "--seq", str(point["T"]), "--use-cache", "no")
        theirs = phases(program, str(file), "--at", sizes)
        if ours != theirs:
            wrong += 1
            both = isinstance(ours, list) and isinstance(theirs, list)
            told = [f"  family {a}\n  traced {b}" for a, b in zip(ours, theirs) if a != b] if both else [ours, theirs]
            print(f"{row.name} at {sizes}:", *map(str, told[:6]), sep="\n", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--peakmem", default="build/peakmem", help="the program (default build/peakmem)")
    parser.add_argument("families", nargs="*", default=SAMPLE)
    args = parser.parse_args()
    coverage.warm_up()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in args.families:
            text = in_child(name, lambda: fitted(ROWS[name]))
            if not text:
                wrong += 1
                continue
            made = json.loads(text)
            differs = held(args.peakmem, ROWS[name], made, folder)
            fixed = f", but for {', '.join(made['fixed'])}" if made["fixed"] else ""
            print(f"{name}: {POINTS - differs} of {POINTS} points the same, of {' '.join(made['units'])}{fixed}", flush=True)
            wrong += differs
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
