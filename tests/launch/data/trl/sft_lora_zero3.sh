trl sft --accelerate_config zero3 \
    --model_name_or_path Qwen/Qwen2.5-0.5B \
    --dataset_name any --max_length 512 \
    --per_device_train_batch_size 2 \
    --use_peft --lora_r 8 --lora_target_modules q_proj v_proj \
    --gradient_checkpointing_kwargs '{"use_reentrant": false}'
