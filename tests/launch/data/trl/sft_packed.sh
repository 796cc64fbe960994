trl sft --accelerate_config fsdp2 --config sft_full_packed.yaml
