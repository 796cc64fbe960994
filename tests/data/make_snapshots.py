#!/usr/bin/env python3
"""Writes snapshot_0.pickle to snapshot_5.pickle and snapshot.json: one small snapshot in every protocol.

It is made up by hand in the shape that torch.cuda.memory._snapshot() has, with every kind of value a pickle may hold.
"""

import json
import pathlib
import pickle

MODEL = {"filename": "/site-packages/transformers/models/gpt2/modeling_gpt2.py", "line": 312, "name": "forward"}
LINEAR = {"filename": "/site-packages/torch/nn/modules/linear.py", "line": 134, "name": "forward"}
NATIVE = {"filename": "??", "line": 0, "name": "at::native::empty_cuda"}
ADAM = {"filename": "/site-packages/torch/optim/adamw.py", "line": 1, "name": "step"}
MODEL_STACK, ADAM_STACK = [NATIVE, LINEAR, MODEL], [NATIVE, ADAM]
BASE = 0x7F3C00000000


def block(address, requested, state, frames):
    return {"address": address, "size": -(-requested // 512) * 512, "requested_size": requested, "state": state,
            "frames": frames}


def entry(action, address, size, frames, time):
    return {"action": action, "addr": address, "size": size, "stream": 0, "time_us": 1700000000000000 + time,
            "frames": frames}


def history():
    """10,000 stays from before; 700 is freed before the dump; 300 comes again and again, so the peak is 11,300."""
    found = [entry("segment_alloc", BASE, 2097152, [], 0), entry("alloc", BASE + 10240, 700, MODEL_STACK, 1),
             entry("alloc", BASE + 11264, 300, MODEL_STACK, 2), entry("alloc", BASE + 11776, 300, ADAM_STACK, 3),
             entry("free_requested", BASE + 10240, 700, MODEL_STACK, 4),
             entry("free_completed", BASE + 10240, 700, MODEL_STACK, 4)]
    for time in range(5, 25):
        found.append(entry("free_requested", BASE + 11776, 300, ADAM_STACK, time))
        found.append(entry("free_completed", BASE + 11776, 300, ADAM_STACK, time))
        found.append(entry("alloc", BASE + 11776, 300, ADAM_STACK, time))
    return found + [entry("free_requested", BASE + 11776, 300, ADAM_STACK, 30), entry("snapshot", 0, 0, [], 31)]


def snapshot():
    blocks = [block(BASE, 10000, "active_allocated", []), block(BASE + 10240, 1024, "inactive", []),
              block(BASE + 11264, 300, "active_allocated", MODEL_STACK),
              block(BASE + 11776, 300, "active_pending_free", ADAM_STACK)]
    kinds = {"none": None, "truths": [True, False], "reals": [0.5, -1e300, 3.0], "small": [0, 1, 255, 256, 65535, 65536],
             "negative": [-1, -300, -2**31, -2**40], "large": [2**31, 2**62, -2**63], "text": "größe \u20ac \U0001f600\n\\u",
             "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], "empty": [[], {}], "long": "x" * 300,
             "many": list(range(1100)), "names": {f"k{i}": i for i in range(300)}}
    return {"segments": [{"device": 0, "address": BASE, "total_size": 2097152, "stream": 0, "segment_type": "small",
                          "segment_pool_id": (0, 0), "frames": [], "blocks": blocks}],
            "device_traces": [history()], "allocator_settings": kinds}


def main():
    folder = pathlib.Path(__file__).parent
    for protocol in range(6):
        (folder / f"snapshot_{protocol}.pickle").write_bytes(pickle.dumps(snapshot(), protocol))
    (folder / "snapshot.json").write_text(json.dumps(snapshot()) + "\n")


if __name__ == "__main__":
    main()
