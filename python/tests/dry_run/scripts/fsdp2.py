"""accelerate's FSDP2 on a LLaMA from its config, in a loop of one's own."""

import accelerate
import torch
import transformers

plugin = accelerate.FullyShardedDataParallelPlugin(
    fsdp_version=2, auto_wrap_policy="transformer_based_wrap", transformer_cls_names_to_wrap=["LlamaDecoderLayer"], reshard_after_forward=True,
    cpu_ram_efficient_loading=False, state_dict_type="SHARDED_STATE_DICT")
accelerator = accelerate.Accelerator(mixed_precision="bf16", fsdp_plugin=plugin)
config = transformers.LlamaConfig(
    hidden_size=512, intermediate_size=1376, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=4, vocab_size=32000, use_cache=False)
model = transformers.LlamaForCausalLM(config)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
model, optimizer = accelerator.prepare(model, optimizer)
for step in range(3):
    ids = torch.zeros(2, 512, dtype=torch.long).to(accelerator.device)
    loss = model(input_ids=ids, labels=ids).loss
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
accelerator.print("highest:", torch.cuda.max_memory_allocated())
