"""The allocator's highest values, by phase for us and as the script would see them for the script.

Both read the same counters, which are reset where a phase ends: what the script has not reset itself is kept for it.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

KINDS = ("allocated", "requested", "reserved")
#: (kind, pool) of a counter, by what it was at most.
Kept = Dict[Tuple[str, str], int]


class Peaks:
    """Stands before torch._C's functions for statistics."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.kept: Dict[int, Kept] = {}
        self.read: Callable[[int], Dict[str, Any]] = torch._C._cuda_memoryStats
        self.reset: Callable[[int], None] = torch._C._cuda_resetPeakMemoryStats
        torch._C._cuda_memoryStats = self.as_script_sees
        torch._C._cuda_resetPeakMemoryStats = self.reset_by_script
        if hasattr(torch._C, "_accelerator_resetPeakStats"):  # torch.accelerator, of 2.9
            torch._C._accelerator_getDeviceStats = self.as_script_sees
            torch._C._accelerator_resetPeakStats = self.reset_by_script
        self.before_reset: Callable[[], None] = lambda: None

    def take(self) -> Dict[int, Tuple[int, ...]]:
        """By device the highest allocated, requested and reserved bytes since the last call."""
        if not self.torch.cuda.is_initialized():
            return {}
        return {device: self.take_of(device) for device in range(self.torch.cuda.device_count())}

    def take_of(self, device: int) -> Tuple[int, ...]:
        stats = self.read(device)
        kept = self.kept.setdefault(device, {})
        for place, counter in counters(stats):
            kept[place] = max(kept.get(place, 0), counter["peak"])
        self.reset(device)
        return tuple(stats[f"{kind}_bytes"]["all"]["peak"] if f"{kind}_bytes" in stats else 0 for kind in KINDS)

    def as_script_sees(self, device: int) -> Dict[str, Any]:
        stats = self.read(device)
        for place, counter in counters(stats):
            counter["peak"] = max(counter["peak"], self.kept.get(device, {}).get(place, 0))
        return stats

    def reset_by_script(self, device: int) -> None:
        self.before_reset()  # DeepSpeed does so while it starts: the phase goes on, with what was at most
        self.kept.pop(device, None)
        self.reset(device)


def counters(stats: Dict[str, Any]) -> Any:
    for kind, pools in stats.items():
        if isinstance(pools, dict):
            for pool, counter in pools.items():
                if isinstance(counter, dict) and "peak" in counter:
                    yield (kind, pool), counter
