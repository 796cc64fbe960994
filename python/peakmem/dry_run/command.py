"""The command line of a dry run."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import peakmem

from .._errors import InputError
from .._rows import GpuRow
from .launch import Ran, Run, folder, run_command
from .report import answer, exit_code, text

EXAMPLES = """
Examples:
  peakmem dry-run --gpu h100-80gb -- python train.py --config small.yaml
  peakmem dry-run --gpu a100-40gb --steps 3 --snapshot run.pickle -- python train.py
  peakmem dry-run --gpu h100-80gb --ranks 8 --rank 0,last -- torchrun --nproc-per-node 8 train.py

The script runs as it is, on the torch it finds (a CUDA build; Linux). Values read from the GPU are 0.
Exit codes: 0 it ran, 1 it ran out of memory, 2 bad usage, or the script failed otherwise.
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="peakmem dry-run",
        description="Runs a training script where CUDA's libraries are a stand-in, and says what PyTorch's allocator did.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--gpu", required=True, help="the GPU that the script is to find: a name of `peakmem gpus`")
    made.add_argument("--memory-mib", type=int, metavar="N", help="its memory, where it is not the usual")
    made.add_argument("--context", metavar="MIB", help="what a process's CUDA context takes of it [between what was measured]")
    made.add_argument("--ranks", type=int, default=1, metavar="N", help="processes of the job, a GPU each [1]")
    made.add_argument("--rank", default="0,last", metavar="LIST", help="those that are run: 0,last or all [0,last]")
    made.add_argument("--steps", type=int, metavar="N", help="end after so many optimizer steps [as the script says]")
    made.add_argument("--snapshot", metavar="FILE", help="what torch.cuda.memory._dump_snapshot writes; for each rank its own")
    made.add_argument("--empty-weights", action="store_true", help="from_pretrained needs the config alone, and loads zeros")
    made.add_argument("--json", action="store_true", help="the answer as JSON; the script's output goes to standard error")
    made.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="such as: python train.py")
    return made


def find_gpu(name: str) -> GpuRow:
    rows = [row for row in peakmem.gpus() if row.compute_capability]
    named = {call.lower(): row for row in rows for call in (row.name, row.title, *row.aliases.split())}
    if name.lower() in named:
        return named[name.lower()]
    near = difflib.get_close_matches(name.lower(), named, 1)
    raise InputError("--gpu", f"no GPU {name!r} is known", f"did you mean {near[0]}?" if near else "peakmem gpus lists them")


def context_bytes(word: str | None, gpu: GpuRow) -> int:
    """What is not the allocator's: as the core has it, the middle of what was measured."""
    if word is None:
        return (gpu.context_low + gpu.context_high) // 2
    if not word.isdigit():
        raise InputError("--context", f"{word!r} is no number of MiB")
    return int(word) * 2**20


def wanted_ranks(words: str, ranks: int) -> tuple[int, ...]:
    """`0,last`, `all`, or numbers."""
    if words == "all":
        return tuple(range(ranks))
    numbers = [str(ranks - 1) if word == "last" else word for word in words.split(",")]
    if not all(word.isdigit() and int(word) < ranks for word in numbers):
        raise InputError("--rank", f"{words!r} is not among {ranks} ranks", "such as 0,last or all")
    return tuple(sorted({int(word) for word in numbers}))


def asked(words: Sequence[str]) -> tuple[argparse.Namespace, Run]:
    options = parser().parse_args(words)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if sys.platform != "linux":
        raise InputError("peakmem dry-run", "runs on Linux alone", "the CUDA build of PyTorch and its stand-in are Linux's")
    if not command:
        raise InputError("COMMAND", "is missing", "such as: peakmem dry-run --gpu h100-80gb -- python train.py")
    if not shutil.which(command[0]):
        raise InputError("COMMAND", f"{command[0]} is not found", "give its path")
    for name, value in (("--ranks", options.ranks), ("--steps", options.steps), ("--memory-mib", options.memory_mib)):
        if value is not None and value < 1:
            raise InputError(name, f"should be 1 or more, not {value}")
    if options.snapshot and not Path(options.snapshot).absolute().parent.is_dir():
        raise InputError("--snapshot", f"there is no folder {Path(options.snapshot).parent}")
    gpu = find_gpu(options.gpu)
    memory = options.memory_mib * 2**20 if options.memory_mib else gpu.memory_bytes
    wanted = wanted_ranks(options.rank, options.ranks)
    snapshot = options.snapshot is not None
    context = context_bytes(options.context, gpu)
    return options, Run(command, gpu, memory, context, options.ranks, wanted, options.steps, snapshot, options.empty_weights, options.json)


def keep_snapshots(ran: Ran, into: Path, path: Path) -> None:
    """FILE, or FILE with the rank before its ending where several processes wrote one."""
    found = [(record, into / f"{record['process']}.pickle") for record in ran.records]
    found = [(record, file) for record, file in found if file.exists()]
    for record, file in found:
        which = f"rank{record['rank']}" if record.get("rank") is not None else str(record["process"])
        kept = path if len(found) == 1 else path.with_name(f"{path.stem}-{which}{path.suffix}")
        shutil.move(file, kept)
        record["snapshot"] = str(kept)


def main(words: Sequence[str]) -> int:
    try:
        options, run = asked(words)
        with folder() as into:
            ran = run_command(run, into)
            if options.snapshot:
                keep_snapshots(ran, into, Path(options.snapshot))
    except InputError as error:
        print(f"peakmem: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"peakmem: {error.filename or 'COMMAND'}: {error.strerror}", file=sys.stderr)
        return 2
    found = answer(run, ran)
    write(json.dumps(found, indent=2) + "\n" if options.json else text(found, os.getcwd()))
    return exit_code(found)


def write(answer: str) -> None:
    try:
        sys.stdout.write(answer)
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
