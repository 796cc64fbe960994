#include "model/kernels.h"

#include <algorithm>
#include <array>

#include "model/description.h"

namespace peakmem {
namespace {

constexpr Activation kSilu = Activation::kSilu;
constexpr Activation kGelu = Activation::kGelu;

// apply_liger_kernel_to_* of liger-kernel 0.8.5 (transformers/monkey_patch.py), _supports_flash_attn of transformers
// 5.23. Mixtral's and Qwen3's experts become Liger's fused mixture.
constexpr std::array kRows = std::to_array<FamilyKernels>({{"gpt2", true},
                                                           {"gpt_bigcode", true},
                                                           {"bert", true},
                                                           {"roberta", true},
                                                           {"xlm-roberta", true},
                                                           {"distilbert", true},
                                                           {"electra", true},
                                                           {"clip"},
                                                           {"siglip"},
                                                           {"vit", true},
                                                           {"phi3", true, true, true, kSilu},
                                                           {"gpt_neox", true},
                                                           {"starcoder2", true},
                                                           {"stablelm", true},
                                                           {"qwen2_moe", true},
                                                           {"qwen3_moe", true, true, true, kSilu},
                                                           {"gemma3_text", true, true, false, kGelu},
                                                           {"gemma3"},
                                                           {"llava"},
                                                           {"paligemma"},
                                                           {"qwen2_vl"},
                                                           {"qwen2_5_vl"},
                                                           {"qwen3_vl"},
                                                           {"t5"},
                                                           {"mt5"},
                                                           {"olmo", true},
                                                           {"olmo2", true, true, false, kSilu},
                                                           {"llama", true, true, true, kSilu},
                                                           {"mistral", true, true, true, kSilu},
                                                           {"mixtral", true, true, true, kSilu},
                                                           {"granite", true, true, true, kSilu, false},
                                                           {"qwen2", true, true, true, kSilu},
                                                           {"qwen3", true, true, true, kSilu},
                                                           {"gemma", true, true, true, kGelu},
                                                           {"gemma2", true, true, false, kGelu},
                                                           {"smollm3", true},
                                                           {"arcee", true},
                                                           {"seed_oss", true},
                                                           {"nemotron", true},
                                                           {"cohere", true},
                                                           {"cohere2", true},
                                                           {"glm", true},
                                                           {"glm4", true},
                                                           {"ernie4_5", true},
                                                           {"hunyuan_v1_dense", true},
                                                           {"exaone4", true},
                                                           {"olmo3", true},
                                                           {"olmoe", true},
                                                           {"granitemoe", true},
                                                           {"llama4_text"},
                                                           {"deepseek_v2", true},
                                                           {"bloom"},
                                                           {"mpt"},
                                                           {"gpt_neo"},
                                                           {"deepseek_v3", true},
                                                           {"phi", true},
                                                           {"falcon"},
                                                           {"opt", true},
                                                           {"gpt_oss"},
                                                           {"gptj"},
                                                           {"codegen"},
                                                           {"mpnet"},
                                                           {"deberta-v2"},
                                                           {"albert", true},
                                                           {"esm", true},
                                                           {"modernbert", true},
                                                           {"deit", true},
                                                           {"convnext"},
                                                           {"dinov2", true},
                                                           {"beit"},
                                                           {"umt5"},
                                                           {"bart", true},
                                                           {"mbart", true},
                                                           {"pegasus", true},
                                                           {"marian", true},
                                                           {"blenderbot", true},
                                                           {"whisper", true}});

// cut_cross_entropy/transformers/ of axolotl-ai-cloud/ml-cross-entropy, as it was for transformers 5.15.
constexpr auto kCut = std::to_array<std::string_view>(
    {"arcee",   "deepseek_v2",      "deepseek_v3", "exaone4",   "gemma",    "gemma2", "gemma3_text", "glm4",
     "gpt_oss", "hunyuan_v1_dense", "llama",       "mistral",   "mixtral",  "olmo3",  "olmoe",       "phi3",
     "qwen2",   "qwen2_moe",        "qwen3",       "qwen3_moe", "seed_oss", "smollm3"});

}  // namespace

bool has_cut_loss(std::string_view family) { return std::find(kCut.begin(), kCut.end(), family) != kCut.end(); }

const FamilyKernels& kernels_of(std::string_view family) {
  static constexpr FamilyKernels kNone;
  for (const FamilyKernels& row : kRows)
    if (row.family == family) return row;
  return kNone;
}

}  // namespace peakmem
