#include "family/architectures.h"

#include <algorithm>
#include <array>

#include "size/wording.h"

namespace peakmem {
namespace {

/// What the names of a family's classes begin with.
struct Prefix {
  std::string_view family;
  std::string_view begins;
};
constexpr std::array kPrefixes = std::to_array<Prefix>({{"gpt2", "GPT2"},
                                                        {"gpt_bigcode", "GPTBigCode"},
                                                        {"bert", "Bert"},
                                                        {"roberta", "Roberta"},
                                                        {"xlm-roberta", "XLMRoberta"},
                                                        {"distilbert", "DistilBert"},
                                                        {"electra", "Electra"},
                                                        {"mpnet", "MPNet"},
                                                        {"deberta-v2", "DebertaV2"},
                                                        {"albert", "Albert"},
                                                        {"esm", "Esm"},
                                                        {"modernbert", "ModernBert"},
                                                        {"llama", "Llama"},
                                                        {"mistral", "Mistral"},
                                                        {"mixtral", "Mixtral"},
                                                        {"qwen2", "Qwen2"},
                                                        {"qwen3", "Qwen3"},
                                                        {"qwen2_moe", "Qwen2Moe"},
                                                        {"qwen3_moe", "Qwen3Moe"},
                                                        {"gemma", "Gemma"},
                                                        {"gemma2", "Gemma2"},
                                                        {"gemma3_text", "Gemma3"},
                                                        {"gemma3_text", "Gemma3Text"},
                                                        {"gemma3", "Gemma3"},
                                                        {"llava", "Llava"},
                                                        {"paligemma", "PaliGemma"},
                                                        {"qwen2_vl", "Qwen2VL"},
                                                        {"qwen2_5_vl", "Qwen2_5_VL"},
                                                        {"qwen3_vl", "Qwen3VL"},
                                                        {"olmo", "Olmo"},
                                                        {"olmo2", "Olmo2"},
                                                        {"granite", "Granite"},
                                                        {"phi3", "Phi3"},
                                                        {"gpt_neox", "GPTNeoX"},
                                                        {"starcoder2", "Starcoder2"},
                                                        {"stablelm", "StableLm"},
                                                        {"smollm3", "SmolLM3"},
                                                        {"arcee", "Arcee"},
                                                        {"seed_oss", "SeedOss"},
                                                        {"nemotron", "Nemotron"},
                                                        {"cohere", "Cohere"},
                                                        {"cohere2", "Cohere2"},
                                                        {"glm", "Glm"},
                                                        {"glm4", "Glm4"},
                                                        {"ernie4_5", "Ernie4_5"},
                                                        {"hunyuan_v1_dense", "HunYuanDenseV1"},
                                                        {"exaone4", "Exaone4"},
                                                        {"olmo3", "Olmo3"},
                                                        {"olmoe", "Olmoe"},
                                                        {"granitemoe", "GraniteMoe"},
                                                        {"llama4_text", "Llama4"},
                                                        {"deepseek_v2", "DeepseekV2"},
                                                        {"bloom", "Bloom"},
                                                        {"mpt", "Mpt"},
                                                        {"gpt_neo", "GPTNeo"},
                                                        {"deepseek_v3", "DeepseekV3"},
                                                        {"phi", "Phi"},
                                                        {"falcon", "Falcon"},
                                                        {"opt", "OPT"},
                                                        {"gpt_oss", "GptOss"},
                                                        {"gptj", "GPTJ"},
                                                        {"codegen", "CodeGen"},
                                                        {"clip", "CLIP"},
                                                        {"siglip", "Siglip"},
                                                        {"vit", "ViT"},
                                                        {"deit", "DeiT"},
                                                        {"dinov2", "Dinov2"},
                                                        {"beit", "Beit"},
                                                        {"convnext", "ConvNext"},
                                                        {"t5", "T5"},
                                                        {"mt5", "MT5"},
                                                        {"umt5", "UMT5"},
                                                        {"bart", "Bart"},
                                                        {"mbart", "MBart"},
                                                        {"pegasus", "Pegasus"},
                                                        {"marian", "Marian"},
                                                        {"blenderbot", "Blenderbot"},
                                                        {"whisper", "Whisper"}});

/// Classes whose names do not end as those of other families.
struct NamedOtherwise {
  std::string_view family;
  Task task;
  std::string_view name;
};
constexpr std::array kOtherwise = std::to_array<NamedOtherwise>({
    {"gpt2", Task::kCausalLm, "GPT2LMHeadModel"},
    {"marian", Task::kSeq2SeqLm, "MarianMTModel"},
    {"t5", Task::kSeq2SeqLm, "T5WithLMHeadModel"},  // its name up to transformers 3
});

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Letters' case makes no difference: LLaMAForCausalLM was a name once.
bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

bool is_modelled(const Family& family, Task task) {
  return std::find(family.tasks.begin(), family.tasks.end(), task) != family.tasks.end();
}

/// Calls `each(task, name)` for the classes of a family, those of tasks that are not modelled too.
template <class Each>
void for_each_class(const Family& family, const Each& each) {
  for (const NamedOtherwise& row : kOtherwise)
    if (row.family == family.name) each(row.task, std::string(row.name));
  for (const Prefix& prefix : kPrefixes)
    for (const TaskRow& row : task_rows())
      if (prefix.family == family.name) each(row.task, std::string(prefix.begins) + std::string(row.architecture));
}

}  // namespace

std::optional<Task> task_of_class(const Family& family, std::string_view name) {
  std::optional<Task> found;
  for_each_class(family, [&](Task task, const std::string& known) {
    if (same(known, name) && is_modelled(family, task)) found = task;
  });
  return found;
}

std::string classes_of(const Family& family) {
  std::string list;
  std::vector<Task> listed;
  for_each_class(family, [&](Task task, const std::string& known) {
    const bool is_new = std::find(listed.begin(), listed.end(), task) == listed.end();
    if (is_new && is_modelled(family, task)) add_to_list(list, known);
    if (is_new) listed.push_back(task);
  });
  return list;
}

std::string tasks_of(const Family& family) {
  std::string list;
  for (const TaskRow& row : task_rows())
    if (is_modelled(family, row.task)) add_to_list(list, row.name);
  return list;
}

}  // namespace peakmem
