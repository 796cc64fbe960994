"""What the dry run asks of a process, in one environment variable that its children inherit."""

from __future__ import annotations

import json
import os
from typing import List, NamedTuple, Optional

VARIABLE = "PEAKMEM_DRY_RUN"


class Settings(NamedTuple):
    """`ranks` are those that run, all where it is None; `steps` after how many optimizer steps to end, never where None;
    with `empty_weights` transformers' models are loaded from zeros."""

    folder: str
    steps: Optional[int] = None
    snapshot: bool = False
    ranks: Optional[List[int]] = None
    empty_weights: bool = False

    def text(self) -> str:
        return json.dumps(self._asdict())


def of_environment() -> Optional[Settings]:
    text = os.environ.get(VARIABLE)
    return Settings(**json.loads(text)) if text else None
