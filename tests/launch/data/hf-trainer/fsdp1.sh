torchrun --nproc_per_node 4 train.py \
  --per_device_train_batch_size 2 \
  --bf16 true \
  --fsdp "full_shard auto_wrap" \
  --fsdp_config fsdp_config.json
