#!/bin/bash
# The reference is the model without its adapters; an evaluation, and another loss than the default.
python trl/scripts/dpo.py \
    --model_name_or_path Qwen/Qwen2.5-1.5B \
    --dataset_name my-org/pairs \
    --per_device_train_batch_size 1 \
    --max_length 1024 \
    --loss_type ipo \
    --beta 0.2 \
    --eval_strategy steps \
    --use_peft \
    --lora_r 32 \
    --lora_target_modules q_proj v_proj \
    --output_dir runs/heron
