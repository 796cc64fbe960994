#!/usr/bin/env python3
"""Measure what single operations allocate inside themselves, at random shapes.

    kernels.py [-o OUT.jsonl] [--gpu NAME] [--each N] [--seed N] [--only NAME]

A line for each: `bytes`, the highest that was live at once beyond what the operation returns; `freed`, the sizes of all that it
allocated and gave back, in order; `kept`, the sizes of what it left. Requested bytes, not rounded to blocks.
"""

import argparse
import json
import math
import random
import sys
import warnings

import device  # first: it chooses the GPU before torch is there

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

aten = torch.ops.aten
FLOATS = (torch.float32, torch.bfloat16, torch.float16)
HALVES = (torch.bfloat16, torch.float16)


def make(*shape, dtype=torch.float32, grad=False):
    return torch.empty(shape, dtype=dtype, device="cuda", requires_grad=grad)


def integers(*shape):
    return torch.zeros(shape, dtype=torch.long, device="cuda")


def between(low, high):
    """Sizes of all magnitudes, odd ones too."""
    return round(math.exp(random.uniform(math.log(low), math.log(high))))


def multiple(of, low, high):
    return of * between(max(low // of, 1), high // of)


def gradient(output, *inputs):
    """The backward pass of one operation, as often as it is called."""
    grad = torch.empty_like(output)
    return lambda: torch.autograd.grad(output, inputs, grad, retain_graph=True)


# Each gives (dtype, shape, call): the shape is what a formula is made of, in the order of the names behind it.
def softmax_backward():  # batch, heads, queries, keys
    dtype, shape = random.choice(FLOATS), (between(1, 8), between(1, 32), between(64, 2048), between(64, 2048))
    out = make(*shape, dtype=dtype)
    return dtype, shape, lambda: aten._softmax_backward_data(out, out, -1, dtype)


def softmax_fp32_backward():  # the same where half scores are made fp32 in it, as eager attention does
    dtype, shape = random.choice(HALVES), (between(1, 8), between(1, 32), between(64, 2048), between(64, 2048))
    scores = make(*shape, dtype=dtype, grad=True)
    return dtype, shape, gradient(F.softmax(scores, dim=-1, dtype=torch.float32), scores)


def log_softmax_backward():  # rows, classes
    shape = between(64, 16384), between(2, 256000)
    out = make(*shape)
    return torch.float32, shape, lambda: aten._log_softmax_backward_data(out, out, 1, torch.float32)


def cross_entropy():  # rows, classes
    dtype, shape = random.choice(FLOATS), (between(64, 16384), between(2, 256000))
    logits, labels = make(*shape, dtype=dtype), integers(shape[0])
    return dtype, shape, lambda: F.cross_entropy(logits, labels)


def cross_entropy_backward():  # rows, classes
    dtype, shape = random.choice(FLOATS), (between(64, 16384), between(2, 256000))
    logits, labels = make(*shape, dtype=dtype, grad=True), integers(shape[0])
    return dtype, shape, gradient(F.cross_entropy(logits, labels), logits)


def sum_over_rows():  # rows, columns: the gradient of a bias
    dtype, shape = random.choice(FLOATS), (between(256, 65536), between(16, 16384))
    grad = make(*shape, dtype=dtype)
    return dtype, shape, lambda: grad.sum(0)


def sum_over_batch():  # batch, seq, columns: what was broadcast over both
    dtype, shape = random.choice(FLOATS), (between(1, 64), between(64, 4096), between(16, 8192))
    grad = make(*shape, dtype=dtype)
    return dtype, shape, lambda: grad.sum((0, 1), keepdim=True)


def sum_over_first():  # batch, seq, columns: the gradient of position embeddings
    dtype, shape = random.choice(FLOATS), (between(2, 1024), between(64, 2048), between(16, 4096))
    grad = make(*shape, dtype=dtype)
    return dtype, shape, lambda: grad.sum(0, keepdim=True)


def sum_over_columns():  # rows, columns
    dtype, shape = random.choice(FLOATS), (between(1, 65536), between(64, 262144))
    x = make(*shape, dtype=dtype)
    return dtype, shape, lambda: x.sum(-1, keepdim=True)


def mean_of_all():  # elements
    dtype, shape = random.choice(FLOATS), (between(64, 2**30),)
    x = make(*shape, dtype=dtype)
    return dtype, shape, lambda: x.mean()


def any_of_all():  # elements
    shape = (between(64, 2**26),)
    x = make(*shape, dtype=torch.bool)
    return torch.bool, shape, lambda: x.any()


def vector_norm():  # elements
    dtype, shape = random.choice(FLOATS), (between(64, 2**30),)
    x = make(*shape, dtype=dtype)
    return dtype, shape, lambda: torch.linalg.vector_norm(x)


def foreach_norm():  # elements of each tensor
    dtype, shape = random.choice(FLOATS), tuple(between(1, 2**26) for _ in range(between(1, 40)))
    tensors = [make(n, dtype=dtype) for n in shape]
    return dtype, shape, lambda: torch._foreach_norm(tensors, 2.0)


def embedding_backward():  # batch, seq, hidden, vocabulary
    dtype, shape = random.choice(FLOATS), (between(1, 16), between(256, 4096), between(8, 8192), between(100, 256000))
    grad, indices = make(*shape[:3], dtype=dtype), integers(*shape[:2])
    return dtype, shape, lambda: aten.embedding_dense_backward(grad, indices, shape[3], -1, False)


def heads(head_sizes, most_groups):
    """batch, heads, heads of keys, seq, head size"""
    kv = between(1, 16)
    return between(1, 8), kv * between(1, most_groups), kv, between(16, 4096), head_sizes()


def attention(backend, dtype, shape, mask=False, backward=True):
    batch, queries, keys, seq, size = shape
    q = make(batch, queries, seq, size, dtype=dtype, grad=True)
    k, v = (make(batch, keys, seq, size, dtype=dtype, grad=True) for _ in range(2))
    bias = make(1, 1, seq, -(-seq // 8) * 8, dtype=dtype)[..., :seq] if mask else None

    def forward():
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(q, k, v, bias, is_causal=not mask, enable_gqa=queries != keys)
    return dtype, shape, gradient(forward(), q, k, v) if backward else forward


def flash_forward():  # batch, heads, heads of keys, seq, head size
    return attention(SDPBackend.FLASH_ATTENTION, random.choice(HALVES), heads(lambda: multiple(8, 8, 256), 8), backward=False)


def flash_backward():
    return attention(SDPBackend.FLASH_ATTENTION, random.choice(HALVES), heads(lambda: multiple(8, 8, 256), 8))


def flash_backward_usual():  # with the head sizes that models have
    return attention(SDPBackend.FLASH_ATTENTION, random.choice(HALVES), heads(lambda: random.choice((64, 80, 96, 128, 256)), 8))


def efficient_forward():
    return attention(SDPBackend.EFFICIENT_ATTENTION, random.choice(FLOATS), heads(lambda: multiple(8, 8, 256), 1), backward=False)


def efficient_backward():
    return attention(SDPBackend.EFFICIENT_ATTENTION, random.choice(FLOATS), heads(lambda: multiple(8, 8, 256), 1))


def efficient_backward_wide():  # heads that no block holds whole
    return attention(SDPBackend.EFFICIENT_ATTENTION, random.choice(FLOATS), heads(lambda: multiple(8, 136, 512), 1))


def efficient_backward_masked():
    return attention(SDPBackend.EFFICIENT_ATTENTION, random.choice(FLOATS), heads(lambda: random.choice((64, 96, 128)), 1), mask=True)


def cudnn_backward():
    return attention(SDPBackend.CUDNN_ATTENTION, random.choice(HALVES), heads(lambda: random.choice((64, 128)), 8))


def layer_norm_backward():  # rows, columns
    dtype, shape = random.choice(FLOATS), (between(64, 65536), between(64, 16384))
    x, w, b = make(*shape, dtype=dtype, grad=True), make(shape[1], dtype=dtype, grad=True), make(shape[1], dtype=dtype, grad=True)
    return dtype, shape, gradient(F.layer_norm(x, shape[1:], w, b), x, w, b)


def rms_norm_backward():  # rows, columns
    dtype, shape = random.choice(FLOATS), (between(64, 65536), between(64, 16384))
    x, w = make(*shape, dtype=dtype, grad=True), make(shape[1], dtype=dtype, grad=True)
    return dtype, shape, gradient(F.rms_norm(x, shape[1:], w), x, w)


def topk():  # rows, columns, k: a router's
    dtype, shape = random.choice(FLOATS), (between(1, 32768), between(8, 256), between(1, 8))
    x = make(*shape[:2], dtype=dtype)
    return dtype, shape, lambda: torch.topk(x, shape[2], dim=-1)


def sort_rows():  # rows, columns
    dtype, shape = random.choice((*FLOATS, torch.long)), (between(1, 4096), between(1, 8192))
    x = make(*shape, dtype=dtype)
    return dtype, shape, lambda: torch.sort(x)


def sort():  # elements: the experts of all tokens
    dtype, shape = random.choice((torch.long, torch.int32, torch.float32)), (between(64, 2**22),)
    x = make(*shape, dtype=dtype)
    return dtype, shape, lambda: torch.sort(x)


def argsort():  # elements
    dtype, shape = torch.long, (between(64, 2**22),)
    x = make(*shape, dtype=dtype)
    return dtype, shape, lambda: torch.argsort(x)


def histc():  # elements, bins
    shape = between(1, 2**22), between(2, 256)
    x = make(shape[0], dtype=torch.int32)
    return torch.int32, shape, lambda: torch.histc(x, bins=shape[1], min=0, max=shape[1] - 1)


def bincount():  # elements, bins
    shape = between(1, 2**22), between(2, 256)
    x = integers(shape[0])
    return torch.long, shape, lambda: torch.bincount(x, minlength=shape[1])


def cumsum():  # rows, columns
    dtype, shape = random.choice((torch.long, torch.int32)), (between(1, 256), between(1, 65536))
    x = make(*shape, dtype=dtype)
    return dtype, shape, lambda: torch.cumsum(x, -1)


def index_backward():  # rows, columns, indices: the gradient of x[indices]
    dtype, shape = random.choice(FLOATS), (between(1, 32768), between(1, 8192), between(1, 65536))
    x = make(*shape[:2], dtype=dtype, grad=True)
    return dtype, shape, gradient(x[integers(shape[2])], x)


def index_add():  # rows, columns, indices
    dtype, shape = random.choice(FLOATS), (between(1, 32768), between(1, 8192), between(1, 65536))
    x, source, index = make(*shape[:2], dtype=dtype), make(shape[2], shape[1], dtype=dtype), integers(shape[2])
    return dtype, shape, lambda: x.index_add_(0, index, source)


def grouped_mm():  # rows, inner, experts, columns
    shape = multiple(8, 8, 32768), multiple(8, 64, 8192), between(1, 128), multiple(8, 64, 8192)
    x, w = make(*shape[:2], dtype=torch.bfloat16), make(shape[2], shape[1], shape[3], dtype=torch.bfloat16)
    offsets = make(shape[2], dtype=torch.int32)
    return torch.bfloat16, shape, lambda: torch._grouped_mm(x, w, offs=offsets)


def linear():  # rows, inner, columns, whether with a bias
    dtype, shape = random.choice(FLOATS), (between(1, 16384), multiple(8, 8, 16384), multiple(8, 8, 16384), random.randrange(2))
    x, w, b = make(*shape[:2], dtype=dtype), make(shape[2], shape[1], dtype=dtype), make(shape[2], dtype=dtype)
    return dtype, shape, lambda: F.linear(x, w, b if shape[3] else None)


def convolution_backward():  # images, channels, image, patch, columns
    patch = random.choice((14, 16, 32))
    dtype, shape = random.choice(FLOATS), (between(1, 64), 3, patch * between(2, 32), patch, between(8, 2048))
    x = make(shape[0], shape[1], shape[2], shape[2], dtype=dtype)
    w, b = make(shape[4], shape[1], patch, patch, dtype=dtype, grad=True), make(shape[4], dtype=dtype, grad=True)
    return dtype, shape, gradient(F.conv2d(x, w, b, stride=patch), w, b)


KERNELS = [
    softmax_backward, softmax_fp32_backward, log_softmax_backward, cross_entropy, cross_entropy_backward, sum_over_rows, sum_over_batch,
    sum_over_first, sum_over_columns, mean_of_all, any_of_all, vector_norm, foreach_norm, embedding_backward, flash_forward, flash_backward,
    flash_backward_usual, efficient_forward, efficient_backward, efficient_backward_wide, efficient_backward_masked, cudnn_backward, layer_norm_backward,
    rms_norm_backward, topk, sort_rows, sort, argsort, histc, bincount, cumsum, index_backward, index_add, grouped_mm, linear,
    convolution_backward,
]


def events(call):
    """What a call allocates and gives back: [(action, size, address)]; the second time, when handles have their workspaces."""
    call()
    torch.cuda.memory._record_memory_history(context=None, max_entries=10**6, clear_history=True)
    result = call()  # noqa: F841 (held until the trace is read)
    trace = torch.cuda.memory._snapshot()["device_traces"][0]
    torch.cuda.memory._record_memory_history(enabled=None)
    return [(e["action"], e["size"], e["addr"]) for e in trace if e["action"] in ("alloc", "free_completed")]


def inside(call):
    """(bytes, freed, kept) of a call."""
    live, freed, now, highest = {}, [], 0, 0
    for number, (action, size, address) in enumerate(events(call)):
        if action != "alloc" and address not in live:
            continue  # of the call before
        now += size if action == "alloc" else -size
        highest = max(highest, now)
        if action == "alloc":
            live[address] = number, size
        else:
            freed.append(live.pop(address))
    kept = [size for _, size in live.values()]
    return highest - sum(kept), [size for _, size in sorted(freed)], kept


def workspaces(gpu):
    """What a thread's first product of matrices leaves behind: the cuBLAS workspace of its handle."""
    x = make(64, 64)
    before = torch.cuda.memory_stats()["requested_bytes.all.current"]
    y = x @ x
    kept = torch.cuda.memory_stats()["requested_bytes.all.current"] - before - y.nbytes
    return {"kernel": "cublas_workspace", "gpu": gpu, "dtype": "float32", "shape": [64, 64, 64], "bytes": kept, "freed": [], "kept": [kept]}


def rows(kernel, gpu, each):
    """Each a line; where this GPU has no such kernel, none."""
    for _ in range(each):
        try:
            dtype, shape, call = kernel()
            size, freed, kept = inside(call)
        except RuntimeError as error:
            print(f"{kernel.__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        yield {"kernel": kernel.__name__, "gpu": gpu, "dtype": str(dtype).removeprefix("torch."), "shape": list(shape), "bytes": size,
               "freed": freed, "kept": kept}
        torch.cuda.empty_cache()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("-o", "--output", help="append to this file (default: print)")
    parser.add_argument("--gpu", default="a100-80gb", help="a row of data/gpus.json (default a100-80gb)")
    parser.add_argument("--each", type=int, default=12, help="shapes of each kernel (default 12)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="kernels whose name contains this")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    gpu = device.choose_gpu(args.gpu, memory_mib=8 * 2**20)  # no shape is too large
    out = open(args.output, "a") if args.output else sys.stdout
    if not args.only:
        print(json.dumps(workspaces(gpu)), file=out)
    for kernel in KERNELS:
        random.seed(f"{args.seed} {kernel.__name__}")
        for row in rows(kernel, gpu, args.each) if args.only in kernel.__name__ else ():
            print(json.dumps(row), file=out, flush=True)


if __name__ == "__main__":
    main()
