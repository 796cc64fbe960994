#!/usr/bin/env python3
"""Measure a case and write it as torch.cuda.memory._dump_snapshot() would.

    snapshot.py CASE.json -o OUT.pickle [--protocol N | --json] [--history N] [--steps N] [--sizes rounded]

Every storage becomes a block of its own segment; the history is the last N
allocations and releases. Blocks are named by the op that made them, where a GPU
run has stacks. The snapshot is taken at the end of the last step.
"""

import argparse
import json
import pathlib
import pickle

from measure import measure, read_cases  # first: it loads the fake CUDA device

BASE = 0x7F3C00000000  # where CUDA puts things


def round512(size):
    """What the caching allocator gives for a request."""
    return -(-size // 512) * 512


class Heap:
    """Addresses for storages: a freed block is used again for one of its size."""

    def __init__(self):
        self.next, self.free = BASE, {}

    def take(self, size):
        size = max(round512(size), 512)
        if self.free.get(size):
            return self.free[size].pop()
        self.next += size
        return self.next - size

    def give(self, address, size):
        self.free.setdefault(max(round512(size), 512), []).append(address)


def entry(action, address, size, frames, time):
    """An entry of a device trace."""
    return {"action": action, "addr": address, "size": size, "stream": 0, "time_us": time, "frames": frames}


def events(log):
    """Yield (kind, block number, op, bytes) until the end phase; a refill in place is an allocation."""
    for kind, what, extra, change in log:
        if kind == "phase":
            if what == "end":
                return
            continue
        if change:
            yield "-" if kind == "-" or change < 0 else "+", what.number, extra, abs(change)


def snapshot(log, history):
    """The state at the end of the last step, and what led there."""
    heap, live, trace, stacks = Heap(), {}, [], {}
    for time, (kind, number, op, size) in enumerate(events(log)):
        if kind == "+":
            frames = stacks.setdefault(op, [{"filename": "??", "line": 0, "name": op}])
            live[number] = heap.take(size), size, frames
            trace.append(entry("alloc", *live[number], 1700000000000000 + time))
        else:
            address, size, frames = live.pop(number)
            heap.give(address, size)
            for action in ("free_requested", "free_completed"):
                trace.append(entry(action, address, size, frames, 1700000000000000 + time))
    return {"segments": [segment(*block) for block in live.values()],
            "device_traces": [trace[-history:] if history else []], "allocator_settings": {"expandable_segments": False}}


def segment(address, size, frames):
    """A segment that is one block in use."""
    block = {"address": address, "size": round512(size), "requested_size": size,
             "state": "active_allocated", "frames": frames}
    return {"device": 0, "address": address, "total_size": round512(size), "stream": 0, "segment_type": "small",
            "allocated_size": round512(size), "active_size": round512(size), "segment_pool_id": (0, 0),
            "is_expandable": False, "frames": [], "blocks": [block]}


def without_requests(found):
    """As torch before 2.1 wrote blocks: their sizes only."""
    for each in found["segments"]:
        del each["blocks"][0]["requested_size"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("case")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--protocol", type=int, default=pickle.DEFAULT_PROTOCOL)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--history", type=int, default=100000, help="entries of the trace (default 100000)")
    parser.add_argument("--steps", type=int, default=2, help="training steps (default 2)")
    parser.add_argument("--sizes", choices=("requested", "rounded"), default="requested")
    args = parser.parse_args()
    (_, case), = read_cases([args.case])
    _, log = measure(case, args.steps)
    found = snapshot(log, args.history)
    if args.sizes == "rounded":
        found = without_requests(found)
    data = json.dumps(found).encode() if args.json else pickle.dumps(found, args.protocol)
    pathlib.Path(args.output).write_bytes(data)


if __name__ == "__main__":
    main()
