#include "model/family.h"

#include <array>

#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {
namespace {

constexpr std::array kFamilies = std::to_array<const Family*>({
#define PEAKMEM_FAMILY(name) &(name),
#include "model/families.inc"
#undef PEAKMEM_FAMILY
});

constexpr std::array<TaskRow, 5> kTasks = {
    {{Task::kCausalLm, "causal-lm", "ForCausalLM"},
     {Task::kMaskedLm, "masked-lm", "ForMaskedLM"},
     {Task::kSequenceClassification, "sequence-classification", "ForSequenceClassification"},
     {Task::kImageClassification, "image-classification", "ForImageClassification"},
     {Task::kSeq2SeqLm, "seq2seq-lm", "ForConditionalGeneration"}}};

constexpr std::array<ActivationRow, 11> kActivations = {{{"gelu", Activation::kGelu},
                                                         {"gelu_pytorch_tanh", Activation::kGelu},
                                                         {"gelu_new", Activation::kGeluNew},
                                                         {"gelu_accurate", Activation::kGeluNew},
                                                         {"gelu_python_tanh", Activation::kGeluNew},
                                                         {"silu", Activation::kSilu},
                                                         {"swish", Activation::kSilu},
                                                         {"relu", Activation::kRelu},
                                                         {"tanh", Activation::kTanh},
                                                         {"sigmoid", Activation::kSigmoid},
                                                         {"quick_gelu", Activation::kQuickGelu}}};

/// What every config may say without changing the memory of a training step.
void read_common(Fields& fields, const Family& family) {
  fields.ignore({"model_type",
                 "architectures",
                 "_name_or_path",
                 "name_or_path",
                 "transformers_version",
                 "torch_dtype",
                 "dtype",
                 "bos_token_id",
                 "eos_token_id",
                 "pad_token_id",
                 "initializer_range",
                 "layer_norm_epsilon",
                 "layer_norm_eps",
                 "rms_norm_eps",
                 "task_specific_params",
                 "label2id",
                 "gradient_checkpointing",
                 "return_dict",
                 "max_length",
                 "_commit_hash",
                 "attn_implementation",
                 "_attn_implementation",
                 "finetuning_task",
                 "unsloth_fixed",
                 "tokenizer_class",
                 "prefix",
                 "problem_type",
                 "tie_last_hidden_states"});
  for (const char* name : {"quantization_config", "per_layer_config", "auto_map"})
    if (fields.has(name)) fields.fail(name, "is not modelled", "remove it to estimate the model without it");
  if (const Value* chunk = fields.find("chunk_size_feed_forward"); chunk != nullptr && chunk->integer != 0)
    fields.fail("chunk_size_feed_forward", "is not modelled", "set it to 0");
  fields.refuse_flag("output_hidden_states", false, "keeps every layer's output alive");
  fields.refuse_flag("output_attentions", false, "keeps every layer's attention weights alive");
  fields.refuse_flag("is_encoder_decoder", family.usual_task == Task::kSeq2SeqLm,
                     "decides whether it is an encoder-decoder");
  fields.refuse_flag("is_causal", true, "turns the causal mask off");
}

int64_t read_labels(Fields& fields) {
  const Value* names = fields.find("id2label");
  const int64_t labels = fields.size("num_labels", 2);
  const bool listed = names != nullptr && names->kind == Value::Kind::kObject && !names->members.empty();
  return listed ? static_cast<int64_t>(names->members.size()) : labels;
}

/// "GPT2LMHeadModel" and the like, which do not end as the other families' do.
bool names_task(std::string_view architecture, const TaskRow& row) {
  if (architecture.ends_with(row.architecture)) return true;
  return row.task == Task::kCausalLm && architecture == "GPT2LMHeadModel";
}

Task read_task(Fields& fields, const Family& family) {
  for (const std::string& architecture : fields.texts("architectures"))
    for (const TaskRow& row : kTasks)
      if (names_task(architecture, row)) return row.task;
  return family.usual_task;
}

std::string_view name_of_task(Task task) {
  for (const TaskRow& row : kTasks)
    if (row.task == task) return row.name;
  return "";
}

void check_task(Fields& fields, const Family& family, Task task) {
  std::string known;
  for (const Task possible : family.tasks) {
    if (possible == task) return;
    add_to_list(known, name_of_task(possible));
  }
  fields.fail("task", std::string(name_of_task(task)) + " is not modelled for " + std::string(family.name),
              "known for it: " + known);
}

void check_sizes(Fields& fields, const Description& d) {
  if (d.heads % d.kv_heads != 0)
    fields.fail("num_key_value_heads",
                std::to_string(d.kv_heads) + " kv heads do not divide " + std::to_string(d.heads) + " heads");
}

const Family* family_of(Fields& fields) {
  const std::string name = fields.text("model_type", "");
  if (name.empty()) {
    fields.fail("model_type", "is missing", "a Hugging Face config names its family in it");
    return nullptr;
  }
  const Family* family = find_family(name);
  if (family != nullptr) return family;
  std::vector<std::string_view> known;
  for (const Family* row : kFamilies) known.push_back(row->name);
  fields.fail("model_type", in_quotes(name) + " is not known", did_you_mean(name, known));
  return nullptr;
}

}  // namespace

std::span<const Family* const> families() { return kFamilies; }
std::span<const TaskRow> task_rows() { return kTasks; }
std::span<const ActivationRow> activation_rows() { return kActivations; }

const Family* find_family(std::string_view name) {
  for (const Family* family : kFamilies)
    if (family->name == name) return family;
  return nullptr;
}

Activation read_activation(Fields& fields, std::string_view field, std::string_view otherwise) {
  const std::string name = fields.text(field, otherwise);
  std::vector<std::string_view> known;
  for (const ActivationRow& row : kActivations) {
    if (row.name == name) return row.activation;
    known.push_back(row.name);
  }
  fields.fail(field, "activation " + in_quotes(name) + " is not known", did_you_mean(name, known));
  return Activation::kGelu;
}

Result<Description> read_description(const Value& config, const Task* task, std::vector<std::string>& unknown) {
  if (config.kind != Value::Kind::kObject)
    return Error{"config", "must be a JSON object", "pass a Hugging Face config.json"};
  Fields fields(config);
  const Family* family = family_of(fields);
  if (family == nullptr) return *fields.error();
  read_common(fields, *family);
  Description description = family->read(fields);
  description.family = family->name;
  description.labels = read_labels(fields);
  description.uses_cache = fields.flag("use_cache", true);
  if (fields.find("pad_token_id") != nullptr) description.has_padding_token = fields.has("pad_token_id");
  if (description.rotary == 0) description.rotary = description.head_dim;
  description.task = task != nullptr ? *task : read_task(fields, *family);
  if (description.runs.empty()) description.runs = {{description.layers, false}};
  if (description.decoder_layers > 0 && description.decoder_runs.empty())
    description.decoder_runs = {{description.decoder_layers, false}};
  if (!fields.error()) {
    check_task(fields, *family, description.task);
    check_sizes(fields, description);
  }
  if (fields.error()) return *fields.error();
  unknown = fields.unknown();
  return description;
}

}  // namespace peakmem
