#include "request/words.h"

#include <algorithm>
#include <array>

namespace peakmem {
namespace {

// transformers 5.23, training_args.py, OptimizerNames.
constexpr std::array kOptimizerWords = std::to_array<OptimizerWord>({
    {"adamw_torch", "adamw", ""},
    {"adamw_torch_fused", "adamw", "fused"},
    {"adamw_hf", "adamw", ""},
    {"adafactor", "hf-adafactor", ""},
    {"sgd", "sgd", ""},
    {"adagrad", "adagrad", ""},
    {"rmsprop", "rmsprop", ""},
    {"adamw_bnb_8bit", "adamw-8bit", ""},
    {"adamw_8bit", "adamw-8bit", ""},
    {"paged_adamw", "paged-adamw-32bit", ""},
    {"paged_adamw_32bit", "paged-adamw-32bit", ""},
    {"paged_adamw_8bit", "paged-adamw-8bit", ""},
    {"lion_32bit", "lion-32bit", ""},
    {"lion_8bit", "lion-8bit", ""},
    {"paged_lion_32bit", "paged-lion-32bit", ""},
    {"paged_lion_8bit", "paged-lion-8bit", ""},
    {"ademamix", "ademamix", ""},
    {"ademamix_8bit", "ademamix-8bit", ""},
    {"paged_ademamix_32bit", "paged-ademamix-32bit", ""},
    {"paged_ademamix_8bit", "paged-ademamix-8bit", ""},
    {"rmsprop_bnb", "rmsprop-bnb", ""},
    {"rmsprop_bnb_32bit", "rmsprop-bnb", ""},
    {"rmsprop_bnb_8bit", "rmsprop-bnb-8bit", ""},
});

/// A value by another name.
struct Word {
  std::string_view option;
  std::string_view word;
  std::string_view ours;
};
constexpr std::array kWords = std::to_array<Word>({
    {"precision", "float32", "fp32"},
    {"precision", "bfloat16", "bf16"},
    {"precision", "float16", "fp16"},
    {"autocast", "bfloat16", "bf16"},
    {"autocast", "float16", "fp16"},
    {"autocast", "no", "none"},
    {"fsdp-param-dtype", "float32", "fp32"},
    {"fsdp-param-dtype", "bfloat16", "bf16"},
    {"fsdp-param-dtype", "float16", "fp16"},
    {"fsdp-reduce-dtype", "float32", "fp32"},
    {"fsdp-reduce-dtype", "bfloat16", "bf16"},
    {"fsdp-reduce-dtype", "float16", "fp16"},
    {"attention", "flash_attention_2", "flash2"},
    {"attention", "flash-attention-2", "flash2"},
    {"attention", "fa2", "flash2"},
    {"for", "experts", "num-experts"},
});

#ifndef PEAKMEM_JSON_ALONE
/// What others call an option, and what to pass here.
struct Hint {
  std::string_view name;
  std::string_view hint;
};
constexpr std::array kHints = std::to_array<Hint>({
    {"batch-size", "pass --batch N: the rows of a micro-batch"},
    {"micro-batch-size", "pass --batch N"},
    {"per-device-train-batch-size", "pass --batch N"},
    {"global-batch-size", "pass --batch N, the rows of a micro-batch, and --accumulate N"},
    {"seq-len", "pass --seq N"},
    {"seq-length", "pass --seq N"},
    {"sequence-length", "pass --seq N"},
    {"max-length", "pass --seq N"},
    {"max-seq-length", "pass --seq N"},
    {"context-length", "pass --seq N"},
    {"gradient-accumulation-steps", "pass --accumulate N"},
    {"grad-accum", "pass --accumulate N"},
    {"gradient-checkpointing", "pass --checkpointing full"},
    {"activation-checkpointing", "pass --checkpointing full"},
    {"max-grad-norm", "pass --clip-grad"},
    {"bf16", "pass --precision bf16-mixed, autocast over fp32 weights, or --precision bf16"},
    {"fp16", "pass --precision fp16-mixed, autocast over fp32 weights"},
    {"dtype", "pass --precision bf16"},
    {"torch-dtype", "pass --precision bf16"},
    {"optim", "pass --optimizer adamw"},
    {"lora-r", "pass --lora-rank N"},
    {"lora-alpha", "it changes no byte: leave it out"},
    {"lora-target-modules", "pass --lora-targets all-linear"},
    {"load-in-4bit", "pass --quantize nf4, with --lora-rank 16 --lora-targets all-linear"},
    {"load-in-8bit", "pass --quantize int8, with --lora-rank 16 --lora-targets all-linear"},
    {"qlora", "pass --quantize nf4 --lora-rank 16 --lora-targets all-linear"},
    {"flash-attention", "pass --attention flash2"},
    {"attn-implementation", "pass --attention flash2, sdpa or eager"},
    {"use-liger-kernel", "pass --kernels liger"},
    {"num-gpus", "pass --fsdp N or --ddp N"},
    {"gpus", "pass --fsdp N or --ddp N, and --gpu NAME for the card"},
    {"nproc-per-node", "pass --fsdp N or --ddp N"},
    {"num-processes", "pass --fsdp N or --ddp N"},
    {"zero-stage", "pass --zero S --ranks N"},
    {"deepspeed", "pass --zero S --ranks N"},
    {"tensor-parallel", "pass --stack megatron --tp N"},
    {"tensor-model-parallel-size", "pass --stack megatron --tp N"},
    {"pipeline-parallel", "pass --stack megatron --pp N"},
    {"pipeline-model-parallel-size", "pass --stack megatron --pp N"},
    {"expert-model-parallel-size", "pass --stack megatron --ep N"},
    {"sp", "pass --stack megatron --tp N --sequence-parallel"},
    {"use-distributed-optimizer", "pass --stack megatron --dp N --distributed-optimizer"},
    {"tensor-parallel-degree", "pass --stack torchtitan --tp N"},
    {"pipeline-parallel-degree", "pass --stack torchtitan --pp N"},
    {"pipeline-parallel-schedule", "pass --stack torchtitan --pp N --pp-schedule 1F1B"},
    {"data-parallel-shard-degree", "pass --fsdp N"},
    {"data-parallel-replicate-degree", "pass --hsdp RxS"},
    {"local-batch-size", "pass --batch N: the rows of a micro-batch"},
    {"stack", "only estimate takes it: peakmem MODEL --stack NAME"},
    {"context-parallel-size", "context parallelism is not modelled"},
    {"model", "the model stands by itself: peakmem gpt2"},
    {"config", "a launch file or a config.json stands by itself: peakmem FILE"},
});
#endif

}  // namespace

std::span<const OptimizerWord> optimizer_words() { return kOptimizerWords; }

OptionValues in_our_words(OptionValues values) {
  const bool says_how = Options(values).has("optimizer-impl");
  std::string_view implementation;
  for (OptionValue& value : values) {
    for (const Word& word : kWords)
      if (word.option == value.name && word.word == value.text) value.text = word.ours;
    // A name without `_` may be one of ours, of another optimizer.
    if (value.name != "optimizer" || value.text.find('_') == std::string::npos) continue;
    for (const OptimizerWord& word : kOptimizerWords) {
      if (word.name != value.text) continue;
      value.text = word.optimizer;
      implementation = word.implementation;
      break;
    }
  }
  if (!implementation.empty() && !says_how) values.push_back({"optimizer-impl", std::string(implementation)});
  return values;
}

#ifdef PEAKMEM_JSON_ALONE
// The page has no options that are typed, and need not carry the hints.
std::string_view hint_for_option(std::string_view /*name*/) { return {}; }
#else
std::string_view hint_for_option(std::string_view name) {
  std::string plain(name);
  std::replace(plain.begin(), plain.end(), '_', '-');
  for (const Hint& hint : kHints)
    if (hint.name == plain) return hint.hint;
  return {};
}
#endif

}  // namespace peakmem
