"""Traces from the command line: any model of the installed transformers by its config, or a factory over sizes.

    python -m peakmem.trace config.json --batch 2 --seq 4096 --gpu a100-80gb --save mine.peakmem
    python -m peakmem.trace train.py:make --at B=8,T=1024,L=12

`peakmem config.json --via torch` and `peakmem train.py:make` are the same.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import pathlib
import sys
from typing import Any

from .._errors import InputError
from . import trace
from ._answer import Trace


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m peakmem.trace", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("model", help="a config.json of transformers (or its folder), or FILE.py:FUNCTION")
    parser.add_argument("--at", default="", help="sizes of the function, such as B=8,T=1024")
    parser.add_argument("--batch", type=int, default=1, help="sequences in a batch (default 1)")
    parser.add_argument("--seq", type=int, default=1024, help="tokens in a sequence (default 1024)")
    parser.add_argument("--attention", help="eager or sdpa; else what transformers takes")
    parser.add_argument("--precision", help="fp32, bf16, fp16, bf16-mixed or fp16-mixed")
    parser.add_argument("--optimizer", default="adamw", help="a name (default adamw)")
    parser.add_argument("--optimizer-impl", help="loop, foreach or fused")
    parser.add_argument("--accumulate", type=int, default=1, help="micro-batches a step (default 1)")
    parser.add_argument("--clip-grad", type=float, nargs="?", const=1.0, help="the norm that gradients are clipped to")
    parser.add_argument("--checkpointing", nargs="?", const="full", choices=["none", "full"], help="full: recompute layers")
    parser.add_argument("--gpu", help="a GPU of `peakmem gpus`")
    parser.add_argument("--save", help="write the trace to this file")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    return parser


def main(words: list[str] | None = None) -> int:
    """Prints the report; exit code 2 where it cannot be traced."""
    args = arguments().parse_args(words)
    try:
        traced = _traced(args)
        if args.save:
            traced.save(args.save)
        print(traced.report.to_json() if args.json else traced.report)
    except InputError as error:
        print(f"peakmem: {error}", file=sys.stderr)
        return 2
    return 0


def _traced(args: argparse.Namespace) -> Trace:
    names = ("precision", "optimizer", "optimizer_impl", "accumulate", "clip_grad", "checkpointing", "gpu")
    options = {name: getattr(args, name) for name in names}
    options["checkpointing"] = args.checkpointing == "full"
    path, colon, function = args.model.rpartition(":")
    if colon and path.endswith(".py"):
        return trace(_function(path, function), at=_sizes(args.at), name=args.model, **options)
    make, batch, name = from_config(pathlib.Path(args.model), args.batch, args.seq, args.attention, args.precision)
    return trace(make, batch, name=name, **options)


def _function(path: str, name: str) -> Any:
    spec = importlib.util.spec_from_file_location("traced_file", path)
    if spec is None or spec.loader is None or not pathlib.Path(path).is_file():
        raise InputError("MODEL", f"{path} is no Python file", "pass FILE.py:FUNCTION")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if not callable(found):
        raise InputError("MODEL", f"{path} has no function {name}", "pass FILE.py:FUNCTION")
    return found


def _sizes(text: str) -> dict[str, int]:
    try:
        return {name: int(value) for name, value in (each.split("=") for each in text.split(","))}
    except ValueError:
        raise InputError("at", f"{text!r} are no sizes", "such as --at B=8,T=1024") from None


def from_config(
    path: pathlib.Path, batch: int, seq: int, attention: str | None, precision: str | None = None
) -> tuple[Any, Any, str]:
    """What makes the model of a config, its batch, and its name. The class is the first of `architectures`, else that of
    the first task that transformers knows for its type; in half its weights are, as from_pretrained makes them."""
    if importlib.util.find_spec("transformers") is None:
        raise InputError("MODEL", "transformers is not installed, which makes models of configs", "pip install transformers")
    import transformers

    from ._asked import Asked
    from ._loop import PRECISIONS
    from ._transformers import class_of, full_batch, make_of, make_ready

    file = path / "config.json" if path.is_dir() else path
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        config = transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)
    except (OSError, ValueError, KeyError) as error:
        raise InputError("MODEL", f"{path} is no config: {error}", "pass a config.json of transformers") from None
    if attention:
        config._attn_implementation = attention
    asked = Asked(class_of(config), config, batch, seq)
    make_ready(asked)
    make = make_of(asked, PRECISIONS.get(precision or "", (None, None))[0])
    return make, full_batch(asked, make), path.parent.name if path.name == "config.json" else path.stem


if __name__ == "__main__":
    sys.exit(main())
