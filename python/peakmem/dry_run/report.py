"""What a dry run found, as one value for JSON and as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._html import units
from .launch import Ran, Run

SCHEMA = "peakmem-dry-run/1"


def answer(run: Run, ran: Ran) -> dict[str, Any]:
    """Sizes in bytes. `processes` are those that used the GPU, by rank."""
    context = [run.gpu.context_low, run.gpu.context_high]
    return {
        "schema": SCHEMA,
        "gpu": {"name": run.gpu.name, "title": run.gpu.title, "memory_bytes": run.memory_bytes},
        "context_bytes": run.context_bytes,
        "context_range": context,
        "command": list(run.command),
        "exit_code": ran.code,
        "ranks": run.ranks,
        "verdict": verdict(ran),
        "processes": [process(record) for record in ran.records if "refused" not in record],
        "refused": sorted({record["refused"] for record in ran.records if "refused" in record}),
    }


def process(record: Mapping[str, Any]) -> dict[str, Any]:
    fullest: Mapping[str, Any] = max(record["devices"], key=lambda device: int(device["reserved"]), default={})
    names = ("step", "phase", "allocated", "requested", "reserved")
    phases = [dict(zip(names, row[1:], strict=True)) for row in record["phases"] if row[0] == fullest.get("device")]
    kept = ("process", "argv", "rank", "world", "torch", "steps", "out_of_memory", "error", "snapshot")
    return {
        **{name: record[name] for name in kept if name in record},
        **fullest,
        "phases": phases,
        "values_read": record["reads"],
        "values_read_at": [dict(zip(("at", "within", "by", "times"), place, strict=True)) for place in record["places"]],
    }


def verdict(ran: Ran) -> str:
    """An out-of-memory error that the script has caught, and lived with, is told but ends nothing."""
    if not any("refused" not in record for record in ran.records):
        return "not run"
    if ran.code == 0:
        return "ran"
    return "out of memory" if any(record.get("out_of_memory") for record in ran.records) else "failed"


def exit_code(found: Mapping[str, Any]) -> int:
    return {"ran": 0, "out of memory": 1}.get(found["verdict"], 2)


def text(found: Mapping[str, Any], here: str) -> str:
    gpu = found["gpu"]
    lines = ["", f"{gpu['title']}, {units(gpu['memory_bytes'])}: {found['verdict']}", "  " + " ".join(found["command"])]
    for why in found["refused"]:
        lines.append(f"  {why}")
    if found["verdict"] == "not run" and not found["refused"]:
        lines.append("  no process of it used a GPU through torch (a Python with -I or -E is not seen)")
    for one in found["processes"]:
        lines += ["", *process_lines(one, found, here)]
    return "\n".join(lines) + "\n"


def process_lines(one: Mapping[str, Any], found: Mapping[str, Any], here: str) -> Iterable[str]:
    which = f"rank {one['rank']} of {one['world']}, " if one.get("rank") is not None else ""
    steps = f"{one['steps']} step{'s' if one['steps'] != 1 else ''}" if one["steps"] else "no optimizer step"
    yield f"{which}torch {one['torch']}, {steps}"
    yield row("", "allocated", "requested", "reserved")
    yield row("the peak", *(units(one.get(kind, 0)) for kind in ("allocated", "requested", "reserved")))
    for phase in shown(one["phases"]):
        step = f", step {phase['step']}" if phase["phase"] not in ("model", "end") else ""
        yield row("  " + phase["phase"] + step, *(units(phase[kind]) for kind in ("allocated", "requested", "reserved")))
    low, high = (units(one.get("reserved", 0) + size) for size in found["context_range"])
    yield f"  on the device {low} to {high}: with a CUDA context, for which {units(found['context_bytes'])} were set aside"
    yield from notes(one, here)


def shown(phases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first two steps, and of later ones what is higher than all before it."""
    highest: dict[str, int] = {}
    rows = []
    for phase in phases:
        if phase["step"] <= 2 or phase["reserved"] > highest.get(phase["phase"], 0):
            rows.append(phase)
        highest[phase["phase"]] = max(highest.get(phase["phase"], 0), phase["reserved"])
    return rows


def row(name: str, *cells: str) -> str:
    return f"  {name:<28}" + "".join(f"{cell:>14}" for cell in cells)


def notes(one: Mapping[str, Any], here: str) -> Iterable[str]:
    if one.get("num_alloc_retries"):
        yield f"  the allocator gave back what was free and tried again {one['num_alloc_retries']} times: the GPU is full"
    for failure in one["out_of_memory"][:3]:
        yield f"  out of memory for {units(failure['bytes'])} at {where(failure, here)}"
    if one["error"]:
        yield f"  {one['error']['type']} at {short(one['error']['at'], here)}: {first_line(one['error']['message'])}"
    if one["values_read"]:
        yield f"  {one['values_read']} values were read from the GPU, where all is 0; what depends on them may differ:"
        for place in one["values_read_at"][:5]:
            yield f"    {place['times']} × {place['by']} at {where(place, here)}"
    if "snapshot" in one:
        yield f"  snapshot in {one['snapshot']}"


def short(place: str, here: str) -> str:
    return place.removeprefix(here.rstrip("/") + "/")


def where(place: Mapping[str, str], here: str) -> str:
    """The user's line, and the package's that did it."""
    within = place["within"].rpartition("/site-packages/")[2]
    return short(place["at"], here) + ("" if place["within"] == place["at"] else f" ({short(within, here)})")


def first_line(message: str) -> str:
    line = message.strip().partition("\n")[0]
    return line if len(line) < 300 else line[:297] + "..."
