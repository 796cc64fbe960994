"""From the log of a run to its record and its trace."""

LARGEST = 24  # groups of storages listed at the peak


def _round512(size):
    """What the caching allocator gives for a request."""
    return -(-size // 512) * 512


class _Phase:
    """A phase's bytes at its start, peak and end, and the log position of the peak."""

    def __init__(self, name, step, live, live512, position):
        self.name, self.step, self.start = name, step, live
        self.peak, self.peak512, self.end, self.position = live, live512, live, position
        self.at_peak = False  # nothing was released since the peak

    def see(self, live, live512, position, grew):
        """Note an event; the peak is what is live when its first release comes."""
        self.end = live
        self.peak512 = max(self.peak512, live512)
        self.at_peak = grew and (live > self.peak or self.at_peak and live == self.peak)
        if self.at_peak:
            self.peak, self.position = live, position


def _phases(log):
    """Replay the log once: the phases, each with the position of its peak.

    The last phase, `end`, is a look at what stays; that the program then lets go
    of everything is not part of it.
    """
    phases, live, live512, sizes = [], 0, 0, {}
    for position, (kind, what, extra, change) in enumerate(log):
        if kind == "phase":
            phases.append(_Phase(what, extra, live, live512, position))
            if what == "end":
                break
            continue
        old = sizes.get(what.number, 0)
        new = sizes[what.number] = old + _signed(kind, change)
        live += new - old
        live512 += _round512(new) - _round512(old)
        phases[-1].see(live, live512, position, kind == "+" or kind == "resize" and change > 0)
    return phases


def _signed(kind, change):
    """The bytes that an event adds."""
    return -change if kind == "-" else change


def _live_at(log, positions):
    """Replay the log again: the live blocks and their bytes after these positions."""
    blocks, found = {}, {}
    for position, (kind, what, _, change) in enumerate(log):
        if kind == "-":
            del blocks[what.number]
        elif kind != "phase":
            bytes_before = blocks.pop(what.number, (what, 0))[1]  # a refill comes last
            blocks[what.number] = what, bytes_before + change
        if position in positions:
            found[position] = list(blocks.values())
    return found


def _categories(blocks):
    """Bytes by category."""
    sums = {}
    for block, size in blocks:
        sums[block.category] = sums.get(block.category, 0) + size
    return dict(sorted(sums.items()))


def _largest(blocks):
    """The groups of like blocks that hold the most bytes."""
    groups = {}
    for block, size in blocks:
        key = size, block.category, block.op, tuple(block.shape), block.dtype
        groups[key] = groups.get(key, 0) + 1
    order = sorted(groups.items(), key=lambda item: -item[0][0] * item[1])[:LARGEST]
    names = "bytes_each", "category", "op", "shape", "dtype"
    return [{"count": count, **dict(zip(names, key)), "shape": list(key[3])} for key, count in order]


def _phase_record(phase, blocks):
    return {"phase": phase.name, "step": phase.step, "start": phase.start, "peak": phase.peak,
            "peak512": phase.peak512, "end": phase.end, "at_peak": _categories(blocks)}


def _highest(phases, step):
    """The phase with the highest peak of a training step (accumulation: its parts too)."""
    return max((p for p in phases if int(p.step) == step), key=lambda p: p.peak)


def make_record(case, counter, parameters, trainable, managed=0):
    """The record of a run."""
    phases = _phases(counter.log)
    blocks = _live_at(counter.log, {p.position for p in phases})
    last = _highest(phases, int(phases[-1].step))
    first = _highest(phases, 1)
    peak = {"phase": last.name, "step": last.step, "bytes": last.peak, "bytes512": last.peak512,
            "by_category": _categories(blocks[last.position]), "largest": _largest(blocks[last.position])}
    paged = {"managed": managed} if managed else {}
    return {"case": case, "parameters": parameters, "trainable": trainable, **paged, "ops": counter.ops,
            "phases": [_phase_record(p, blocks[p.position]) for p in phases], "peak": peak,
            "peak_step1": {"phase": first.name, "bytes": first.peak}}


def write_trace(case, log):
    """The log as text, from the moment the model is built, or loaded."""
    import json
    lines, live, shown = [f"# {json.dumps(case)}"], 0, False
    for kind, what, extra, change in log:
        if kind == "phase":
            shown = shown or extra != 0 or what == "load"
            if shown:
                lines.append(f"=== {what} of step {extra}, {live} bytes live")
            continue
        live += _signed(kind, change)
        if shown:
            lines.append(_line(kind, what, change, extra.removeprefix("aten.").removesuffix(".default")))
    return "\n".join(lines) + "\n"


def _line(kind, block, change, op):
    """One line of a trace; a storage that is refilled in place keeps its number."""
    sign = "-" if kind == "-" or change < 0 else "+"
    number = f"{sign}{abs(change):<11} #{block.number:<5}"
    if sign == "-":
        return f"{number} after {op}"
    shape = ",".join(map(str, block.shape))
    return f"{number} {block.dtype} [{shape}]  {op}"
