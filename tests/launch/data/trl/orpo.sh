accelerate launch --num_processes 8 examples/scripts/orpo.py \
    --dataset_name any \
    --model_name_or_path Qwen/Qwen2.5-1.5B \
    --max_length 1536 \
    --per_device_train_batch_size 2 \
    --gradient_accumulation_steps 4
