#include "io/bare_model.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "model/family.h"

namespace peakmem {
namespace {

/// A size's option, and the field of a config that holds it.
struct SizeField {
  const char* option;
  const char* gpt2;  // GPT-2 has names of its own
  const char* others;
};
constexpr std::array<SizeField, 7> kFields = {{{"layers", "n_layer", "num_hidden_layers"},
                                               {"heads", "n_head", "num_attention_heads"},
                                               {"hidden", "n_embd", "hidden_size"},
                                               {"ffn", "n_inner", "intermediate_size"},
                                               {"vocab", "vocab_size", "vocab_size"},
                                               {"kv-heads", nullptr, "num_key_value_heads"},
                                               {"head-dim", nullptr, "head_dim"}}};
constexpr std::array<const char*, 3> kRequired = {"layers", "heads", "hidden"};

Value text_value(std::string_view text) {
  Value value;
  value.kind = Value::Kind::kString;
  value.string = text;
  return value;
}

Value size_value(int64_t size) {
  Value value;
  value.kind = Value::Kind::kInteger;
  value.integer = size;
  value.real = static_cast<double>(size);
  return value;
}

/// Builds the config member by member.
class BareModel {
 public:
  BareModel(const Asked& asked, const Family& family) : asked_(asked), family_(family) {
    config_.kind = Value::Kind::kObject;
    config_.members.push_back({"model_type", text_value(family.name)});
  }

  std::optional<Error> fill(std::vector<std::string>& assumptions) {
    const bool rotary = family_.tasks.data() == rotary_decoder_tasks().data();
    for (const SizeField& field : kFields) {
      const char* name = family_.name == "gpt2" ? field.gpt2 : field.others;
      const bool grouped = std::string_view(field.option) == "kv-heads" || std::string_view(field.option) == "head-dim";
      if (grouped && !rotary) {
        if (asked_.has(field.option)) return not_a_choice(field.option);
        continue;
      }
      add(field.option, name, assumptions);
    }
    if (rotary) add_kv_heads(assumptions);
    if (family_.name == "gpt2") grow_positions(assumptions);
    return std::nullopt;
  }
  Value config() && { return std::move(config_); }

 private:
  Error not_a_choice(const char* option) const {
    return {std::string("--") + option, "is no choice of " + std::string(family_.title) + ", whose heads are all alike",
            "drop it, or pass --family llama"};
  }

  void add(const char* option, const char* field, std::vector<std::string>& assumptions) {
    const std::optional<int64_t> size = asked_.size(option);
    if (size) return put(field, *size);
    if (asked_.has(option)) return add_symbol(option, field);
    if (std::string_view(option) == "vocab" || (std::string_view(option) == "ffn" && family_.name != "gpt2"))
      assumptions.push_back(std::string(option) + ": the default of transformers for " + std::string(family_.name));
  }

  /// A symbol's value is the family's default, as long as heads divide the hidden size.
  void add_symbol(const char* option, const char* field) {
    constexpr int64_t kHeadDim = 64;
    const std::string_view name = option;
    const auto hidden = asked_.size("hidden");
    const auto heads = asked_.size("heads");
    if (name == "heads" && hidden) put(field, std::gcd(*hidden, std::max<int64_t>(1, *hidden / kHeadDim)));
    int64_t width = 0;
    if (name == "hidden" && heads && !__builtin_mul_overflow(*heads, kHeadDim, &width)) put(field, width);
  }

  void add_kv_heads(std::vector<std::string>& assumptions) {
    if (asked_.has("kv-heads")) return;
    if (const auto heads = asked_.size("heads")) put("num_key_value_heads", *heads);
    assumptions.emplace_back("kv-heads: as many as heads");
  }

  /// Nobody states a position table with the sizes of a model: it is as long as the sequence.
  void grow_positions(std::vector<std::string>& assumptions) {
    const auto seq = asked_.size("seq");
    if (!seq || *seq <= 1024) return;
    put("n_positions", *seq);
    assumptions.push_back("positions: a table of " + std::to_string(*seq) + ", as long as the sequence");
  }

  void put(const char* field, int64_t size) { config_.members.push_back({field, size_value(size)}); }

  const Asked& asked_;
  const Family& family_;
  Value config_;
};

}  // namespace

bool has_bare_sizes(const Asked& asked) {
  if (asked.has("family")) return true;
  return std::any_of(kFields.begin(), kFields.end(), [&](const SizeField& field) { return asked.has(field.option); });
}

Result<NamedConfig> bare_config(const Asked& asked, std::vector<std::string>& assumptions) {
  for (const char* option : kRequired)
    if (!asked.has(option))
      return Error{std::string("--") + option, "is missing",
                   "a model without a config needs --layers, --heads and --hidden"};
  const std::string* family = asked.text("family");
  if (family == nullptr) assumptions.emplace_back("family: gpt2");
  const Task task = find_family(family == nullptr ? "gpt2" : std::string_view(*family))->usual_task;
  if (task == Task::kImageClassification || task == Task::kSeq2SeqLm)
    return Error{"--family", *family + " takes more sizes than the options have",
                 "pass a config.json or a shipped model"};
  BareModel model(asked, *find_family(family == nullptr ? "gpt2" : std::string_view(*family)));
  if (auto wrong = model.fill(assumptions)) return *wrong;
  return NamedConfig{family == nullptr ? "gpt2" : *family, std::move(model).config()};
}

}  // namespace peakmem
