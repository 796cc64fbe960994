#include "family/family.h"

#include <algorithm>
#include <array>

#include "family/architectures.h"
#include "family/kin.h"
#include "family/padding.h"
#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {
namespace {

constexpr std::array kFamilies = std::to_array<const Family*>({
#define PEAKMEM_FAMILY(name) &(name),
#include "family/families.inc"
#undef PEAKMEM_FAMILY
});

constexpr std::array kTasks =
    std::to_array<TaskRow>({{Task::kCausalLm, "causal-lm", "ForCausalLM"},
                            {Task::kMaskedLm, "masked-lm", "ForMaskedLM"},
                            {Task::kSequenceClassification, "sequence-classification", "ForSequenceClassification"},
                            {Task::kTokenClassification, "token-classification", "ForTokenClassification"},
                            {Task::kQuestionAnswering, "question-answering", "ForQuestionAnswering"},
                            {Task::kMultipleChoice, "multiple-choice", "ForMultipleChoice"},
                            {Task::kImageClassification, "image-classification", "ForImageClassification"},
                            {Task::kSeq2SeqLm, "seq2seq-lm", "ForConditionalGeneration"},
                            {Task::kPreTraining, "pre-training", "ForPreTraining"},
                            {Task::kFeatureExtraction, "feature-extraction", "Model"},
                            {Task::kImageTextToText, "image-text-to-text", "ForConditionalGeneration"},
                            {Task::kContrastive, "contrastive", "Model"}});

/// What `problem_type` may be.
struct ProblemRow {
  Problem problem;
  std::string_view name;
};
constexpr std::array<ProblemRow, 3> kProblems = {{{Problem::kRegression, "regression"},
                                                  {Problem::kSingleLabel, "single_label_classification"},
                                                  {Problem::kMultiLabel, "multi_label_classification"}}};

constexpr std::array<ActivationRow, 12> kActivations = {{{"gelu", Activation::kGelu},
                                                         {"gelu_pytorch_tanh", Activation::kGelu},
                                                         {"gelu_new", Activation::kGeluNew},
                                                         {"gelu_accurate", Activation::kGeluNew},
                                                         {"gelu_python_tanh", Activation::kGeluNew},
                                                         {"silu", Activation::kSilu},
                                                         {"swish", Activation::kSilu},
                                                         {"relu", Activation::kRelu},
                                                         {"tanh", Activation::kTanh},
                                                         {"sigmoid", Activation::kSigmoid},
                                                         {"quick_gelu", Activation::kQuickGelu},
                                                         {"relu2", Activation::kSquaredRelu}}};

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

/// What the labels are: as transformers decides it from their number, where the config does not say.
Problem read_problem(Fields& fields, int64_t labels) {
  if (!fields.has("problem_type")) return labels == 1 ? Problem::kRegression : Problem::kSingleLabel;
  const std::string name = fields.text("problem_type", "");
  std::vector<std::string_view> known;
  if (name == "single_label_classification" && labels == 1)
    fields.fail("problem_type",
                "single_label_classification needs more than num_labels 1, at which transformers raises",
                "set num_labels to 2, or problem_type to \"regression\"");
  for (const ProblemRow& row : kProblems) {
    if (row.name == name) return row.problem;
    known.push_back(row.name);
  }
  fields.fail("problem_type", in_quotes(name) + " is not known", did_you_mean(name, known));
  return Problem::kSingleLabel;
}

/// The class a config names decides; the first one, as for transformers.
Task read_task(Fields& fields, const Family& family) {
  const std::vector<std::string> classes = fields.texts("architectures");
  if (classes.empty()) return family.usual_task;
  if (const auto task = task_of_class(family, classes.front())) return *task;
  fields.fail("architectures", in_quotes(classes.front()) + " is not modelled for " + std::string(family.name),
              "known for it: " + classes_of(family) + "; or say what is trained with --task: " + tasks_of(family));
  return family.usual_task;
}

std::string_view name_of_task(Task task) {
  for (const TaskRow& row : kTasks)
    if (row.task == task) return row.name;
  return "";
}

void check_task(Fields& fields, const Family& family, Task task) {
  for (const Task possible : family.tasks)
    if (possible == task) return;
  fields.fail("task", std::string(name_of_task(task)) + " is not modelled for " + std::string(family.name),
              "known for it: " + tasks_of(family));
}

/// An answer has a start and an end: encoders' heads are as wide as there are labels, which must be those two.
void fit_labels(Fields& fields, const Family& family, Description& d) {
  if (d.task == Task::kMultipleChoice) {
    d.labels = 1;
    if (!d.is_plain_summary)
      fields.fail("summary_type", "of choices is modelled as ELECTRA's default only",
                  "leave out summary_type, summary_use_proj and summary_activation");
  }
  if (d.task == Task::kSequenceClassification && family.name == "deberta-v2" && !fields.has("problem_type"))
    fields.fail("problem_type", "is missing, where DeBERTa-v2 has a loss of its own that is not modelled",
                "set it to \"single_label_classification\"");
  if (d.task != Task::kQuestionAnswering) return;
  if (family.usual_task == Task::kMaskedLm && d.labels != 2)
    fields.fail("num_labels",
                "is " + std::to_string(d.labels) + ", and the head of question answering unpacks start and end",
                "set it to 2");
  d.labels = 2;
}

/// Rotary embeddings that ask for positions are modelled where they were measured.
void check_rotary(Fields& fields, const Description& d) {
  const char* name = fields.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (d.long_rotary && d.family != "phi3" && d.family != "llama")
    fields.fail(name, "longrope is not modelled for " + d.family, "it is for llama and phi3");
  if (!d.dynamic_rotary || d.family == "llama") return;
  fields.fail(name, "dynamic is not modelled for " + d.family, "it is for llama");
}

void check_sizes(Fields& fields, const Description& d) {
  if (d.heads % d.kv_heads != 0)
    fields.fail("num_key_value_heads",
                std::to_string(d.kv_heads) + " kv heads do not divide " + std::to_string(d.heads) + " heads");
}

/// The family of the text model within a model of several kinds of input, or null.
const Family* text_family(Fields& fields) {
  const Value* text = fields.find(kTextConfig);
  const Value* type = text == nullptr ? nullptr : text->find("model_type");
  return type == nullptr ? nullptr : find_family(type->string);
}

const Family* family_of(Fields& fields) {
  const std::string name = fields.text("model_type", "");
  if (name.empty()) {
    fields.fail("model_type", "is missing", "a Hugging Face config names its family in it");
    return nullptr;
  }
  const Family* family = find_family(name);
  if (family != nullptr) return family;
  if (const Family* of_text = text_family(fields))
    fields.fail(
        "model_type",
        in_quotes(name) + " is not known, but its text_config is of a known family, " + std::string(of_text->name),
        "pass --part text to take that without what encodes images or sound");
  fields.fail("model_type", in_quotes(name) + " is not known", hint_for_unknown(name));
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

double read_token_dropout(Fields& fields, double otherwise) {
  for (const char* name : {"classifier_dropout", "hidden_dropout"})
    if (fields.has(name)) return fields.probability(name, otherwise);
  return otherwise;
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

namespace {

/// Of a model of images and texts that classifies images what sees them is all there is.
void see_alone(Description& d) {
  Description tower = *d.tower;
  tower.family = d.family;
  tower.labels = d.labels;
  tower.task = d.task;
  tower.problem = d.problem;
  tower.rotary = tower.head_dim;
  d = std::move(tower);
}

}  // namespace

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
  check_padding(fields, description);
  if (fields.find("pad_token_id") != nullptr) description.has_padding_token = fields.has("pad_token_id");
  if (description.rotary == 0) description.rotary = description.head_dim;
  description.problem = read_problem(fields, description.labels);
  description.task = task != nullptr ? *task : read_task(fields, *family);
  fit_labels(fields, *family, description);
  if (description.task == Task::kImageClassification && description.tower) see_alone(description);
  if (description.runs.empty()) description.runs = {{description.layers, false}};
  if (description.decoder_layers > 0 && description.decoder_runs.empty())
    description.decoder_runs = {{description.decoder_layers, false}};
  if (!fields.error()) {
    check_task(fields, *family, description.task);
    check_sizes(fields, description);
    check_rotary(fields, description);
  }
  if (fields.error()) return *fields.error();
  unknown = fields.unknown();
  return description;
}

}  // namespace peakmem
