#include "request/bare_model.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "family/decoder.h"
#include "family/padding.h"

namespace peakmem {
namespace {

/// A size's option, where a family says what its configs call it, and what most of them call it.
struct SizeField {
  const char* option;
  const char* SizeNames::* own;
  const char* usual;
};
constexpr std::array<SizeField, 7> kFields = {{{"layers", &SizeNames::layers, "num_hidden_layers"},
                                               {"heads", &SizeNames::heads, "num_attention_heads"},
                                               {"hidden", &SizeNames::hidden, "hidden_size"},
                                               {"ffn", &SizeNames::ffn, "intermediate_size"},
                                               {"vocab", &SizeNames::vocab, "vocab_size"},
                                               {"kv-heads", &SizeNames::kv_heads, "num_key_value_heads"},
                                               {"head-dim", &SizeNames::head_dim, "head_dim"}}};
/// What configs of mixtures call the number of experts that tokens are routed to.
constexpr std::array<std::string_view, 3> kExpertFields = {"num_local_experts", "num_experts", "n_routed_experts"};
constexpr const SizeField& kKvHeads = kFields[5];
constexpr std::array<const char*, 3> kRequired = {"layers", "heads", "hidden"};

bool names_as_gpt2(const Family& family) { return family.name == "gpt2" || family.name == "gpt_bigcode"; }
bool is_rotary(const Family& family) { return family.tasks.data() == decoder_tasks(DecoderHeads::kNone).data(); }

/// The field of this family's configs, or null where it has no such size.
const char* field_of(const SizeField& field, const Family& family) {
  const std::string_view option = field.option;
  if (family.sizes != nullptr) return family.sizes->*field.own;
  if (option == "vocab" && family.usual_task == Task::kImageClassification) return nullptr;
  return (option == "kv-heads" || option == "head-dim") && !is_rotary(family) ? nullptr : field.usual;
}

Error no_choice(const SizeField& field, const Family& family) {
  const bool heads = std::string_view(field.option) != "vocab";
  if (family.usual_task == Task::kImageTextToText || family.usual_task == Task::kContrastive)
    return {std::string("--") + field.option,
            "is no choice of " + std::string(family.title) + ", whose config has two parts",
            "drop it, and edit text_config or vision_config"};
  return {std::string("--") + field.option,
          "is no choice of " + std::string(family.title) + (heads ? ", whose heads are all alike" : ""), "drop it"};
}

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

/// A padding token that a smaller vocabulary no longer has becomes its first, the family's own default as well.
void keep_padding_inside(Value& config, std::string_view family, int64_t vocab) {
  const Value* padding = config.find("pad_token_id");
  const int64_t token = padding != nullptr ? padding->integer : usual_padding(family).value_or(0);
  if (token < vocab) return;
  std::erase_if(config.members, [](const Member& member) { return member.name == "pad_token_id"; });
  config.members.push_back({"pad_token_id", size_value(0)});
}

/// Builds the config member by member.
class BareModel {
 public:
  BareModel(const Options& asked, const Family& family) : asked_(asked), family_(family) {
    config_.kind = Value::Kind::kObject;
    config_.members.push_back({"model_type", text_value(family.name)});
  }

  std::optional<Error> fill(std::vector<std::string>& assumptions) {
    for (const SizeField& field : kFields) {
      const char* name = field_of(field, family_);
      if (name != nullptr)
        add(field.option, name, assumptions);
      else if (asked_.has(field.option))
        return no_choice(field, family_);
    }
    if (field_of(kKvHeads, family_) != nullptr) add_kv_heads(assumptions);
    if (names_as_gpt2(family_)) grow_positions(assumptions);
    if (const auto vocab = asked_.size("vocab")) keep_padding_inside(config_, family_.name, *vocab);
    return std::nullopt;
  }
  Value config() && { return std::move(config_); }

 private:
  void add(const char* option, const char* field, std::vector<std::string>& assumptions) {
    const std::optional<int64_t> size = asked_.size(option);
    if (size) return put(field, *size);
    if (asked_.has(option)) return add_symbol(option, field);
    if (std::string_view(option) == "vocab" || (std::string_view(option) == "ffn" && !names_as_gpt2(family_)))
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

  const Options& asked_;
  const Family& family_;
  Value config_;
};

/// Takes a field out of a config; what it held, as text.
std::string take(Value& config, std::string_view name) {
  const Value* held = config.find(name);
  const std::string text = held == nullptr || held->kind != Value::Kind::kInteger ? "the default of transformers"
                                                                                  : std::to_string(held->integer);
  std::erase_if(config.members, [&](const Member& member) { return member.name == name; });
  return text;
}

/// Puts a size where the family's configs have it. GPT-2's configs may say it by its usual name instead, T5's for
/// the decoder too.
void resize(Value& config, const SizeField& field, const char* name, int64_t size,
            std::vector<std::string>& assumptions) {
  const bool aliased = config.find(name) == nullptr && config.find(field.usual) != nullptr;
  const std::string held = take(config, aliased ? field.usual : name);
  if (!aliased && field.usual != std::string_view(name)) take(config, field.usual);
  config.members.push_back({name, size_value(size)});
  assumptions.push_back(std::string(field.option) + ": " + std::to_string(size) + " in place of " + held);
  if (std::string_view(field.option) != "layers") return;
  take(config, "num_decoder_layers");
  if (config.find("layer_types") == nullptr) return;
  take(config, "layer_types");
  assumptions.emplace_back("layer_types: as transformers makes them for that many layers");
}

/// Puts --num-experts where the config says it.
std::optional<Error> resize_experts(Value& config, const Options& asked, std::vector<std::string>& assumptions) {
  const std::optional<int64_t> experts = asked.size("num-experts");
  if (!experts) return std::nullopt;
  for (const std::string_view field : kExpertFields) {
    if (config.find(field) == nullptr) continue;
    const std::string held = take(config, field);
    config.members.push_back({std::string(field), size_value(*experts)});
    assumptions.push_back("num-experts: " + std::to_string(*experts) + " in place of " + held);
    return std::nullopt;
  }
  return Error{"--num-experts", "is of a mixture, and this config does not say how many experts it has", "drop it"};
}

}  // namespace

bool has_bare_sizes(const Options& asked) {
  if (asked.has("family")) return true;
  return std::any_of(kFields.begin(), kFields.end(), [&](const SizeField& field) { return asked.has(field.option); });
}

Result<NamedConfig> bare_config(const Options& asked, std::vector<std::string>& assumptions) {
  for (const char* option : kRequired)
    if (!asked.has(option))
      return Error{std::string("--") + option, "is missing",
                   "a model without a config needs --layers, --heads and --hidden"};
  const std::string* stack = asked.text("stack");
  if (asked.has("num-experts") && (stack == nullptr || *stack != "megatron"))
    return Error{"--num-experts", "is of a mixture with a config, and there is none", "drop it"};
  const std::string* family = asked.text("family");
  if (family == nullptr) assumptions.emplace_back("family: gpt2");
  const Task task = find_family(family == nullptr ? "gpt2" : std::string_view(*family))->usual_task;
  if (task == Task::kImageClassification || task == Task::kSeq2SeqLm || task == Task::kImageTextToText ||
      task == Task::kContrastive)
    return Error{"--family", *family + " takes more sizes than the options have",
                 "pass a config.json or a shipped model"};
  BareModel model(asked, *find_family(family == nullptr ? "gpt2" : std::string_view(*family)));
  if (auto wrong = model.fill(assumptions)) return *wrong;
  return NamedConfig{family == nullptr ? "gpt2" : *family, std::move(model).config(), {}, {}};
}

std::vector<std::string_view> size_options(const Family& family) {
  std::vector<std::string_view> options;
  for (const SizeField& field : kFields)
    if (field_of(field, family) != nullptr) options.emplace_back(field.option);
  return options;
}

Result<NamedConfig> resized_config(const NamedConfig& model, const Options& asked,
                                   std::vector<std::string>& assumptions) {
  NamedConfig changed = model;
  const Value* type = model.config.find("model_type");
  const Family* family = type == nullptr ? nullptr : find_family(type->string);
  if (family == nullptr) return changed;  // reading it will say what is wrong
  for (const SizeField& field : kFields) {
    const std::optional<int64_t> size = asked.size(field.option);
    if (!size) continue;
    const char* name = field_of(field, *family);
    if (name == nullptr) return no_choice(field, *family);
    resize(changed.config, field, name, *size, assumptions);
    if (std::string_view(field.option) == "vocab") keep_padding_inside(changed.config, family->name, *size);
  }
  if (auto wrong = resize_experts(changed.config, asked, assumptions)) return *wrong;
  return changed;
}

}  // namespace peakmem
