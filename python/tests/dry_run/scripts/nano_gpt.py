"""A GPT and its loop in the way of nanoGPT: plain modules, autocast, accumulation, clipping, fused AdamW."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--layers", type=int, default=6)
parser.add_argument("--heads", type=int, default=6)
parser.add_argument("--hidden", type=int, default=384)
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--seq", type=int, default=512)
parser.add_argument("--steps", type=int, default=3)
parser.add_argument("--accumulate", type=int, default=2)
parser.add_argument("--compile", action="store_true")
args = parser.parse_args()
VOCAB = 50304


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(args.hidden, 3 * args.hidden, bias=False)
        self.out = nn.Linear(args.hidden, args.hidden, bias=False)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (part.view(b, t, args.heads, c // args.heads).transpose(1, 2) for part in self.qkv(x).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).contiguous().view(b, t, c))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(args.hidden, bias=False), nn.LayerNorm(args.hidden, bias=False)
        self.attention = Attention()
        self.mlp = nn.Sequential(nn.Linear(args.hidden, 4 * args.hidden, bias=False), nn.GELU(), nn.Linear(4 * args.hidden, args.hidden, bias=False))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCAB, args.hidden), nn.Embedding(args.seq, args.hidden)
        self.blocks = nn.ModuleList(Block() for _ in range(args.layers))
        self.norm = nn.LayerNorm(args.hidden, bias=False)
        self.head = nn.Linear(args.hidden, VOCAB, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.view(-1, VOCAB), targets.view(-1))


torch.manual_seed(0)
model = GPT().to("cuda")
if args.compile:
    model = torch.compile(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
for step in range(args.steps):
    for _ in range(args.accumulate):
        ids = torch.randint(VOCAB, (args.batch, args.seq + 1)).to("cuda")
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = model(ids[:, :-1].contiguous(), ids[:, 1:].contiguous()) / args.accumulate
        loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    print(f"step {step}: loss {loss.item():.4f}, highest {torch.cuda.max_memory_allocated():,}")
