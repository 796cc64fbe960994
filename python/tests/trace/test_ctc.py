"""CTC losses as a GPU computes them."""

from __future__ import annotations

from typing import Any

import torch
from models import Block

import peakmem

BATCH, FRAMES, CLASSES, LABELS = 3, 20, 11, 5


class Recognizer(torch.nn.Module):
    """Frames, and the loss of what they say."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.head = Block(32, 4, 0.0), torch.nn.Linear(32, CLASSES)

    def forward(self, frames: Any, labels: Any) -> Any:
        logs = self.head(self.block(frames)).log_softmax(-1).transpose(0, 1)
        lengths = torch.full((BATCH,), FRAMES, device=frames.device)
        said = (labels > 0).sum(-1)
        return torch.nn.functional.ctc_loss(logs, labels, lengths, said)


def test_its_passes_make_tables_of_the_longest_text() -> None:
    labels = torch.ones(BATCH, LABELS, dtype=torch.long)
    labels[:, LABELS - 1] = 0
    trace = peakmem.trace(Recognizer, (torch.zeros(BATCH, FRAMES, 32), labels))
    table = BATCH * FRAMES * (2 * (LABELS - 1) + 1) * 4
    made = [each[1] for each in trace.members["storages"] if each[0] == table]
    assert sorted(set(made)) == ["_ctc_loss", "_ctc_loss_backward"]
    assert trace.notes[0].startswith("kernels' own workspaces")
