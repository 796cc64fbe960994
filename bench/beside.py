"""What a user would ask instead of bulk evaluation, per second of CPU: llm-analysis (PyPI, 0.2.2) and a plain formula.

Usage: python bench/beside.py      llm-analysis is left out where it is not installed
"""

from __future__ import annotations

import contextlib
import io
import logging
import time
from collections.abc import Callable


def rate(ask: Callable[[], object], least: float = 0.5) -> float:
    """Calls a second of CPU."""
    calls = 1
    while True:
        start = time.process_time()
        for _ in range(calls):
            ask()
        taken = time.process_time() - start
        if taken > least:
            return calls / taken
        calls *= 2


def plain(batch: int, seq: int) -> int:
    """Llama 3.2 1B by 16 bytes a parameter, 34 bytes a layer, token and width, and 6 a logit."""
    hidden, layers, vocab, ffn = 2048, 16, 128256, 8192
    parameters = layers * (2 * hidden * hidden + hidden * hidden // 2 + 3 * hidden * ffn) + vocab * hidden
    return 16 * parameters + batch * seq * (34 * hidden * layers + 6 * vocab)


def llm_analysis() -> Callable[[], object]:
    from llm_analysis.analysis import LLMAnalysis
    from llm_analysis.config import ModelConfig, get_dtype_config_by_name, get_gpu_config_by_name

    logging.disable(logging.CRITICAL)
    model = ModelConfig(
        name="llama",
        num_layers=16,
        n_head=32,
        hidden_dim=2048,
        vocab_size=128256,
        max_seq_len=8192,
        ffn_embed_dim=8192,
    )
    analysis = LLMAnalysis(model, get_gpu_config_by_name("a100-sxm-80gb"), get_dtype_config_by_name("w16a16e16"))

    def ask() -> object:
        with contextlib.redirect_stdout(io.StringIO()):
            return analysis.training(batch_size_per_gpu=1, seq_len=2048, total_num_tokens=1e9)

    return ask


def main() -> None:
    print(f"{rate(lambda: plain(4, 2048)):14,.0f} a second   plain formula")
    try:
        ask = llm_analysis()
    except ImportError:
        print("llm-analysis is not installed")
        return
    print(f"{rate(ask):14,.0f} a second   llm-analysis, training()")


if __name__ == "__main__":
    main()
