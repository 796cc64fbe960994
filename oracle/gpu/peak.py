#!/usr/bin/env python3
"""What lived at the highest point of a snapshot, and who had made it (measure.py --snapshot DIR).

    peak.py SNAPSHOT.pickle [--frames N] [--match TEXT] [--youngest N]

Requested bytes, in groups of what the same frames made; then the youngest blocks, which are what the highest operation wanted.
"""

import argparse
import collections
import pickle

# Frames of which every allocation has some: they say nothing of who wanted it.
EVERYWHERE = ("c10::", "torch::unwind", "gather_with_cpp", "CUDACachingAllocator", "allocate", "empty_", "TensorIterator", "structured_",
              "_wrapped_call_impl", "_call_impl", "micro_step", "train_step", "measure", "<lambda>", "apart", "main", "<module>", "_device.py", "eval_frame.py", "maybe_fallback")


def live_at_peak(trace):
    """The allocations that were live when their sum was highest, oldest first."""
    live, now, highest, best = {}, 0, 0, {}
    for event in trace:
        if event["action"] == "alloc":
            live[event["addr"]] = event
            now += event["size"]
            if now > highest:
                highest, best = now, None
        elif event["action"] == "free_completed" and event["addr"] in live:
            if best is None:
                best = dict(live)
            now -= live.pop(event["addr"])["size"]
    return list((best or live).values())


def maker(event, frames):
    """The innermost frames that say something."""
    names = [f"{f['name']} {f['filename'].rpartition('/')[2]}:{f['line']}" if f["filename"].endswith(".py") else f["name"][:90]
             for f in event.get("frames", ()) if f["name"] and f["name"] != "??"]
    telling = [name for name in names if not any(word in name for word in EVERYWHERE)]
    return " < ".join((telling or names)[:frames])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("snapshot")
    parser.add_argument("--frames", type=int, default=3, help="how many frames name a group (default 3)")
    parser.add_argument("--match", default="", help="only groups whose frames contain this")
    parser.add_argument("--youngest", type=int, default=8, help="how many of the last blocks to list (default 8)")
    args = parser.parse_args()
    with open(args.snapshot, "rb") as file:
        blocks = live_at_peak(pickle.load(file)["device_traces"][0])
    groups = collections.defaultdict(list)
    for block in blocks:
        groups[maker(block, args.frames)].append(block["size"])
    print(f"{sum(block['size'] for block in blocks):>16,} bytes in {len(blocks)} blocks")
    for name, sizes in sorted(groups.items(), key=lambda item: -sum(item[1])):
        if args.match in name:
            print(f"{sum(sizes):>16,} in {len(sizes):>5}  {name}")
    print("the youngest:")
    for block in blocks[-args.youngest:]:
        print(f"{block['size']:>16,}           {maker(block, args.frames)}")


main()
