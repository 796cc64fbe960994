#!/usr/bin/env bash
# 8 experts in place of a GPT's MLPs, as Megatron-LM's CI trains them: TP 2, EP 2, DP 4
torchrun --nproc_per_node 8 pretrain_gpt.py \
    --num-layers 12 --hidden-size 512 --num-attention-heads 8 --seq-length 1024 --max-position-embeddings 1024 --vocab-size 50257 \
    --micro-batch-size 4 --global-batch-size 32 --bf16 --use-distributed-optimizer --attention-dropout 0.1 --hidden-dropout 0.1 \
    --tensor-model-parallel-size 2 --sequence-parallel --expert-model-parallel-size 2 --num-experts 8 --disable-bias-linear \
    --no-bias-gelu-fusion --moe-router-load-balancing-type sinkhorn --moe-router-topk 1 --moe-grouped-gemm \
    --no-gradient-accumulation-fusion --deterministic-mode --mock-data
