"""TRL's SFTTrainer with QLoRA, from a folder in which there is a config alone (--empty-weights)."""

import sys
import tempfile

import datasets
import peft
import tokenizers
import torch
import transformers
import trl

config = transformers.LlamaConfig(
    hidden_size=512, intermediate_size=1376, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=4, vocab_size=32000)
folder = tempfile.mkdtemp()
config.save_pretrained(folder)
quantized = transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
model = transformers.AutoModelForCausalLM.from_pretrained(folder, quantization_config=quantized, dtype=torch.bfloat16, device_map={"": 0})
words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "<eos>": 1}, unk_token="a"))
tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>", pad_token="<eos>")
datasets.arrow_dataset.generate_fingerprint = lambda *_: "0"
rows = datasets.Dataset.from_list([{"input_ids": [0] * 256, "labels": [0] * 256}] * 32)
arguments = trl.SFTConfig(
    output_dir="/tmp/peakmem-dry-run-qlora", per_device_train_batch_size=4, max_steps=3, bf16=True, max_length=256, report_to=[], save_strategy="no",
    logging_steps=1, disable_tqdm=True, dataset_kwargs={"skip_prepare_dataset": True})
lora = peft.LoraConfig(r=16, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
trl.SFTTrainer(model, args=arguments, train_dataset=rows, processing_class=tokenizer, peft_config=lora).train()
print("highest:", torch.cuda.max_memory_allocated(), file=sys.stderr)
