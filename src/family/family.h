// The families that are known: one row each, in the family's own file.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "model/fields.h"
#include "model/model.h"

namespace peakmem {

/// What a family's configs call its sizes; null for what is no choice of its own.
struct SizeNames {
  const char* layers;
  const char* heads;
  const char* hidden;
  const char* ffn;
  const char* vocab = "vocab_size";
  const char* kv_heads = nullptr;
  const char* head_dim = nullptr;
};

/// An architecture: its `model_type`, how its config is read, and how it is built.
struct Family {
  std::string_view name;  // model_type
  std::string_view title;
  std::string_view source;
  Task usual_task;
  std::span<const Task> tasks;
  Description (*read)(Fields& fields);  // errors are noted in `fields`
  std::unique_ptr<Model> (*build)(const Builder& builder);
  const SizeNames* sizes = nullptr;  // null: the usual ones (num_hidden_layers, ...)
};

std::span<const Family* const> families();
/// The family of that model_type, or null.
const Family* find_family(std::string_view name);

/// The tasks' names as the command line and configs spell them.
struct TaskRow {
  Task task;
  std::string_view name;          // "causal-lm"
  std::string_view architecture;  // what the name of a class for it ends with: "ForCausalLM"
};
std::span<const TaskRow> task_rows();

/// ACT2FN of transformers 5.23: the names that are modelled.
struct ActivationRow {
  std::string_view name;
  Activation activation;
};
std::span<const ActivationRow> activation_rows();

/// Where a model of several kinds of input has the config of its text model.
inline constexpr const char* kTextConfig = "text_config";
/// And of what encodes its images.
inline constexpr const char* kVisionConfig = "vision_config";

/// A config's description. `task`: what is asked for, or null for what `architectures` says, else the family's usual
/// one. Fields that are not understood are listed in `unknown`.
Result<Description> read_description(const Value& config, const Task* task, std::vector<std::string>& unknown);

// For the families' own files.
/// The dropout before a decoder's token classifier (GenericForTokenClassification, modeling_layers.py).
double read_token_dropout(Fields& fields, double otherwise);
/// The activation of that name; notes an error that names the nearest known one.
Activation read_activation(Fields& fields, std::string_view field, std::string_view otherwise);

#define PEAKMEM_FAMILY(name) extern const Family name;
#include "family/families.inc"
#undef PEAKMEM_FAMILY

}  // namespace peakmem
