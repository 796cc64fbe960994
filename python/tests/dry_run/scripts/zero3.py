"""DeepSpeed ZeRO-3 on a LLaMA from its config, with DeepSpeed's own loop."""

import deepspeed
import torch
import transformers

settings = {
    "train_micro_batch_size_per_gpu": 2, "bf16": {"enabled": True}, "gradient_clipping": 1.0, "optimizer": {"type": "AdamW", "params": {"lr": 1e-5}},
    "zero_optimization": {"stage": 3, "reduce_bucket_size": 262144, "stage3_prefetch_bucket_size": 262144, "stage3_param_persistence_threshold": 5120}}
config = transformers.LlamaConfig(
    hidden_size=512, intermediate_size=1376, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=4, vocab_size=32000, use_cache=False)
deepspeed.init_distributed()
with deepspeed.zero.Init(config_dict_or_path=settings):
    model = transformers.LlamaForCausalLM(config)
engine, _, _, _ = deepspeed.initialize(model=model, model_parameters=model.parameters(), config=settings)
for step in range(3):
    ids = torch.zeros(2, 512, dtype=torch.long).to(engine.device)
    engine.backward(engine(input_ids=ids, labels=ids).loss)
    engine.step()
print("highest:", torch.cuda.max_memory_allocated())
