"""Small models to trace."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F


class Block(torch.nn.Module):
    """A layer of a decoder, as nanoGPT has it."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        batch, length, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, 2)
        q, k, v = (y.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for y in parts)
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout, is_causal=True)
        x = x + F.dropout(self.out(y.transpose(1, 2).contiguous().view(batch, length, width)), self.dropout)
        return x + F.dropout(self.down(F.gelu(self.up(self.norm2(x)))), self.dropout)


class Decoder(torch.nn.Module):
    """Logits and their loss."""

    def __init__(
        self, layers: int = 3, width: int = 32, heads: int = 4, vocab: int = 101, length: int = 64, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.tokens, self.positions = torch.nn.Embedding(vocab, width), torch.nn.Embedding(length, width)
        self.layers = torch.nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm, self.head = torch.nn.LayerNorm(width), torch.nn.Linear(width, vocab, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids: Any, labels: Any) -> Any:
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        for layer in self.layers:
            x = layer(x)
        logits = self.head(self.norm(x))
        return logits, F.cross_entropy(logits.view(-1, logits.shape[-1]), labels.view(-1))


def batch(sequences: int = 4, length: int = 16) -> tuple[Any, Any]:
    return torch.zeros(sequences, length, dtype=torch.long), torch.ones(sequences, length, dtype=torch.long)
