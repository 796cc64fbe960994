"""Values beside fakes: what decides, and what is guessed."""

from __future__ import annotations

from typing import Any

import torch
from models import batch

import peakmem


class Looks(torch.nn.Module):
    """Looks at values by a function, and adds the shape of what it gets to the loss."""

    def __init__(self, look: Any) -> None:
        super().__init__()
        self.embedding, self.look = torch.nn.Embedding(8, 4), look
        self.seen: list[Any] = []

    def forward(self, ids: Any) -> Any:
        self.seen.append(self.look(ids, self.embedding(ids)))
        return self.embedding(ids).sum()


def looked(look: Any, ids: torch.Tensor) -> tuple[Any, tuple[str, ...]]:
    model = Looks(look)
    trace = peakmem.trace(model, {"ids": ids}, optimizer="sgd")
    guesses = tuple(each for each in trace.notes if "guessed" in each)
    return model.seen[-1], guesses


IDS = torch.tensor([[0, 1, 2, 0], [3, 3, 0, 0]])


def test_known_values_decide() -> None:
    assert looked(lambda ids, x: (ids == 0).sum().item(), IDS) == (4, ())
    assert looked(lambda ids, x: x[ids != 0].shape[0], IDS) == (4, ())
    assert looked(lambda ids, x: (ids != 0).nonzero().shape, IDS) == ((4, 2), ())
    assert looked(lambda ids, x: ids.unique().shape[0], IDS) == (4, ())
    assert looked(lambda ids, x: ids.tolist(), IDS) == (IDS.tolist(), ())
    assert looked(lambda ids, x: bool((ids.cumsum(-1) > 3).all()), IDS) == (False, ())


def test_a_number_reads_as_one_in_a_text() -> None:
    assert looked(lambda ids, x: f"expert_{ids[0, 1]} of {ids.max():02d}", IDS) == ("expert_1 of 03", ())


def test_masks_may_be_large() -> None:
    def over_features(ids: Any, x: Any) -> int:  # as what images become goes to its tokens
        return int(x.repeat(1, 1, 1 << 17)[(ids == 0).unsqueeze(-1).expand(-1, -1, 1 << 19)].shape[0])

    def of_numbers(ids: Any, x: Any) -> bool:  # as attention's mask is, before it is asked where it hides nothing
        return bool((torch.zeros(2, 1, 512, 512, device=ids.device)[:, 0, 0, :] < 0).any().item())

    assert looked(over_features, IDS) == (4 << 19, ())
    assert looked(of_numbers, IDS) == (False, ())


def test_whole_numbers_are_known_when_they_are_written() -> None:
    def offsets(ids: Any, x: Any) -> Any:
        found = torch.empty(3, dtype=torch.long, device=ids.device)
        found[0], found[1:] = 1, (ids == 0).sum(-1)
        return found.tolist()

    def random(ids: Any, x: Any) -> Any:
        return int(torch.empty(3, dtype=torch.long, device=ids.device).random_(5)[0])

    assert looked(offsets, IDS) == ([1, 2, 2], ())
    assert looked(random, IDS)[1]


def test_steps_draw_the_same_numbers() -> None:
    import random

    drawn: list[float] = []
    before = random.getstate()
    looked(lambda ids, x: drawn.append(random.random()), IDS)
    assert len(drawn) > 1 and len(set(drawn)) == 1
    assert random.getstate() == before


def test_numbers_become_tensors_of_the_device_in_force() -> None:
    def device(ids: Any, x: Any) -> str:
        with torch.device(x.device):
            return str(torch.tensor([[1, 2]]).device.type)

    assert looked(device, IDS) == ("cuda", ())
    with torch.device("meta"):
        assert torch.tensor([1]).is_meta


def test_unknown_ones_are_guessed_and_said() -> None:
    value, notes = looked(lambda ids, x: x.sum().item(), IDS)
    assert value == 1.0 and len(notes) == 1 and "float32.item()" in notes[0]
    value, notes = looked(lambda ids, x: x[x > 0].shape[0], IDS)
    assert value == 2 * 4 * 4 and "nothing is masked" in notes[0]


def test_what_a_router_chooses_is_balanced() -> None:
    def counts(ids: Any, x: Any) -> Any:
        return torch.bincount(x.topk(2, -1).indices.flatten(), minlength=4).tolist()

    value, notes = looked(counts, IDS)
    assert value == [4, 4, 4, 4] and len(notes) == 1 and "equally often" in notes[0]
    value, notes = looked(lambda ids, x: x.argmax(-1).unique().shape[0], IDS)
    assert value == 4 and "equally often" in notes[0]
    value, notes = looked(lambda ids, x: x.topk(3, 1).indices.sort(1).values[0, :, 1].tolist(), IDS)
    assert len(set(value)) == 3
    assert looked(lambda ids, x: x.topk(2, -1).indices.shape, IDS) == ((2, 4, 2), ())


def test_a_random_order_is_that_of_the_numbers() -> None:
    value, notes = looked(lambda ids, x: ids[torch.randperm(2, device=ids.device)][ids == 0].shape[0], IDS)
    assert value == 4 and not notes  # the mask is known
    value, notes = looked(lambda ids, x: (ids[torch.randperm(2, device=ids.device)] == 3).nonzero().tolist(), IDS)
    assert value == [[1, 0], [1, 1]] and "randperm" in notes[0]


def test_what_is_written_over_is_known_no_more() -> None:
    def look(ids: Any, x: Any) -> Any:
        mask = torch.zeros(4, device=ids.device)
        part = mask[:2]
        part.copy_(x[0, 0, :2])
        return mask.sum().item()

    value, notes = looked(look, IDS)
    assert value == 1.0 and notes


def test_the_batch_of_the_user_is_as_it_was() -> None:
    ids = IDS.clone()
    looked(lambda ids, x: ids.add_(1).sum().item(), ids)
    assert torch.equal(ids, IDS)
    assert len(batch()) == 2
