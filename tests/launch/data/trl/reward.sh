#!/bin/bash
# Scores of pairs: a classifier with one label, whose head is trained whole beside adapters.
trl reward \
    --model_name_or_path Qwen/Qwen2.5-0.5B \
    --dataset_name my-org/ranked \
    --per_device_train_batch_size 4 \
    --max_length 512 \
    --use_peft \
    --lora_task_type SEQ_CLS \
    --lora_r 16 \
    --lora_target_modules q_proj v_proj \
    --output_dir runs/reward
