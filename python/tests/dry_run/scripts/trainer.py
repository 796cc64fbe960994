"""transformers.Trainer on GPT-2 from its config: bf16, checkpointing."""

import sys

import torch
import transformers

config = transformers.GPT2Config(n_layer=4, n_embd=256, n_head=4, use_cache=False)
model = transformers.GPT2LMHeadModel(config)
rows = [{"input_ids": [0] * 256, "attention_mask": [1] * 256, "labels": [0] * 256}] * 64
arguments = transformers.TrainingArguments(
    output_dir="/tmp/peakmem-dry-run-trainer", per_device_train_batch_size=4, max_steps=3, bf16=True, gradient_checkpointing=True,
    report_to=[], save_strategy="no", logging_steps=1, disable_tqdm=True, optim="adamw_torch_fused")
transformers.Trainer(model, arguments, train_dataset=rows, data_collator=transformers.default_data_collator).train()
print("highest:", torch.cuda.max_memory_allocated(), file=sys.stderr)
