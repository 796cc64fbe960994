#!/usr/bin/env bash
# a Llama-like model by the local spec, 4 cards: TP 2, DP 2
GPUS=4
torchrun --nproc_per_node $GPUS pretrain_gpt.py \
    --num-layers 16 --hidden-size 2048 --num-attention-heads 16 --group-query-attention --num-query-groups 4 \
    --seq-length 1024 --max-position-embeddings 1024 --position-embedding-type rope --normalization RMSNorm --swiglu \
    --disable-bias-linear --untie-embeddings-and-output-weights --attention-dropout 0 --hidden-dropout 0 --vocab-size 32000 \
    --micro-batch-size 2 --global-batch-size 16 --bf16 --use-distributed-optimizer --overlap-grad-reduce \
    --tensor-model-parallel-size 2 --sequence-parallel --recompute-activations --transformer-impl local --mock-data
