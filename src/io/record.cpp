#include "io/record.h"

#include <array>
#include <cmath>

namespace peakmem {
namespace {

struct PrecisionName {
  std::string_view name;
  Precision precision;
};
constexpr std::array<PrecisionName, 5> kPrecisions = {{{"fp32", Precision::kFp32},
                                                       {"bf16", Precision::kBf16},
                                                       {"fp16", Precision::kFp16},
                                                       {"bf16-autocast", Precision::kBf16Mixed},
                                                       {"fp16-autocast", Precision::kFp16Mixed}}};

std::string text(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found != nullptr ? found->string : "";
}

int64_t number(const Value& object, std::string_view name, int64_t otherwise) {
  const Value* found = object.find(name);
  return found != nullptr && found->kind == Value::Kind::kInteger ? found->integer : otherwise;
}

bool flag(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found != nullptr && found->boolean;
}

Error not_modelled(std::string_view field, const std::string& what) {
  return {std::string(field), what + " is not modelled", ""};
}

/// "adamw/foreach"; the records call transformers' optimizer adafactor and torch's torch-adafactor.
std::optional<Error> read_optimizer(const std::string& named, Recipe& recipe) {
  const size_t slash = named.find('/');
  std::string name = named.substr(0, slash);
  const std::string impl = slash == std::string::npos ? "" : named.substr(slash + 1);
  if (name == "adafactor") {
    name = "hf-adafactor";
  } else if (name == "torch-adafactor") {
    name = "adafactor";
  }
  recipe.optimizer = find_optimizer(name);
  if (recipe.optimizer == nullptr) return not_modelled("optimizer", named);
  recipe.impl = impl == "loop"      ? OptimizerImpl::kLoop
                : impl == "foreach" ? OptimizerImpl::kForeach
                : impl == "fused"   ? OptimizerImpl::kFused
                                    : recipe.optimizer->usual;
  if (!update_of(*recipe.optimizer, recipe.impl).available) return not_modelled("optimizer", named);
  return std::nullopt;
}

std::optional<Error> read_precision(const std::string& name, Recipe& recipe) {
  for (const PrecisionName& row : kPrecisions) {
    if (row.name != name) continue;
    recipe.precision = row.precision;
    return std::nullopt;
  }
  return not_modelled("precision", name);
}

std::optional<Error> read_recipe(const Value& what, Recipe& recipe) {
  for (const char* field : {"lora", "ranks"})
    if (what.find(field) != nullptr && !what.find(field)->is_null()) return not_modelled(field, field);
  recipe.batch = number(what, "batch", 1);
  recipe.seq = number(what, "seq", 1);
  recipe.accumulate = number(what, "accumulate", 1);
  recipe.clip = flag(what, "clip");
  recipe.attention = text(what, "attention") == "eager" ? Attention::kEager : Attention::kSdpa;
  if (flag(what, "checkpointing"))
    recipe.checkpointing = flag(what, "reentrant") ? Checkpointing::kFullReentrant : Checkpointing::kFull;
  if (auto error = read_precision(text(what, "precision"), recipe)) return error;
  return read_optimizer(text(what, "optimizer"), recipe);
}

Result<Description> read_model(const Value& what) {
  const std::string task = text(what, "task");
  const Value* config = what.find("config");
  if (config == nullptr) return Error{"config", "is missing", ""};
  std::vector<std::string> unknown;
  for (const TaskRow& row : task_rows())
    if (row.name == task) return read_description(*config, &row.task, unknown);
  return not_modelled("task", task);
}

/// Steps are 1, 2 or, with accumulation, 1.00, 1.01, ...
RecordedPhase read_phase(const Value& value) {
  RecordedPhase phase;
  phase.phase = text(value, "phase");
  phase.peak_bytes = number(value, "peak", 0);
  const Value* step = value.find("step");
  if (step == nullptr) return phase;
  phase.step = static_cast<int32_t>(step->real);
  if (phase.phase == "input" || phase.phase == "forward" || phase.phase == "backward")
    phase.micro = static_cast<int32_t>(std::lround((step->real - phase.step) * 100));
  return phase;
}

int64_t bytes_of(const Value& line, std::string_view name) {
  const Value* peak = line.find(name);
  return peak != nullptr ? number(*peak, "bytes", 0) : 0;
}

}  // namespace

Result<Record> read_record(const Value& line) {
  const Value* what = line.find("case");
  if (what == nullptr) return Error{"case", "is missing: this is no record", "see oracle/README.md"};
  Record record;
  if (auto error = read_recipe(*what, record.job.recipe)) return *error;
  Result<Description> description = read_model(*what);
  if (!description) return description.error();
  record.job.description = std::move(*description);
  if (record.job.description.task == Task::kSeq2SeqLm)
    record.job.recipe.target_seq = number(*what, "target_seq", record.job.recipe.seq);
  if (record.job.description.image > 0) record.job.recipe.seq = record.job.description.positions;
  record.parameters = number(line, "parameters", 0);
  record.peak_bytes = bytes_of(line, "peak");
  record.first_step_bytes = bytes_of(line, "peak_step1");
  if (record.peak_bytes <= 0) return Error{"peak", "is missing: this is no record", "see oracle/README.md"};
  if (const Value* phases = line.find("phases"))
    for (const Value& phase : phases->items) record.phases.push_back(read_phase(phase));
  return record;
}

}  // namespace peakmem
