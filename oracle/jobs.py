"""Cases from files, and a process of its own for each."""

import json
import os
import pathlib
import sys
import time

import transformers

from cases import load_libraries


def check_version(case):
    """A case may say which transformers it is about; its records are no one else's."""
    wanted, here = case.get("transformers", "5.23"), transformers.__version__
    if not here.startswith(wanted + "."):
        raise ValueError(f"the case is about transformers {wanted}, and {here} is installed (oracle/setup.sh --transformers {wanted})")


def read_cases(paths):
    """Yield (name, case) from files and folders; a record counts as its case."""
    return ((name, what.get("case", what)) for name, what in read_lines(paths))


def read_lines(paths):
    """Yield (name, case or record) from files and folders."""
    for path in map(pathlib.Path, paths):
        files = sorted(path.glob("*.json*")) if path.is_dir() else [path]
        for file in files:
            text = file.read_text()
            lines = [text] if file.suffix == ".json" else text.splitlines()
            for number, line in enumerate(line for line in lines if line.strip()):
                yield file.stem if len(lines) == 1 else f"{file.stem}_{number:03d}", json.loads(line)


def apart(name, what, measure):
    """What `measure` returns, as text, in a process of its own: what libraries patch for good (Liger
    torch.nn.functional.cross_entropy) and what a failing case leaves behind goes with it. None where it fails."""
    load_libraries(what.get("case", what))  # here, once for all that follow
    return in_child(name, lambda: measure(name, what))


def in_child(name, work):
    """What `work` returns, as text, in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        failed = 1
        try:
            record = work()
            with os.fdopen(writer, "w") as out:
                out.write(json.dumps(record, separators=(",", ":")))
            failed = 0
        except Exception as error:  # one bad case must not lose the others
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(failed)
    os.close(writer)
    with os.fdopen(reader) as lines:
        record = lines.read()
    _, status = os.waitpid(child, 0)
    return record if status == 0 else None


def all_apart(named, measure, output):
    """Every case, a line each to a file that is appended to, or printed; returns how many failed."""
    out = open(output, "a") if output else sys.stdout
    failed = 0
    for name, what in named:
        begin = time.time()
        record = apart(name, what, measure)
        if record is None:
            failed += 1
            continue
        print(record, file=out, flush=True)
        print(f"{name}: {time.time() - begin:.1f} s", file=sys.stderr)
    return failed
