#include "request/adapter_options.h"

#include <algorithm>

#include "request/choices.h"
#include "request/mixture_options.h"
#include "size/wording.h"
#include "train/built_model.h"

namespace peakmem {
namespace {

std::string targets_of(const std::vector<std::string>& known) {
  return "this model has " + list_of(known) + "; or all-linear";
}

std::optional<Error> read_targets(const Options& asked, Request& request) {
  Lora& lora = request.job.recipe.lora;
  if (!asked.has("lora-targets")) return Error{"--lora-targets", "is missing", targets_of(linear_modules(request.job))};
  if (*asked.text("lora-targets") != "all-linear") lora.targets = asked.list("lora-targets");
  return std::nullopt;
}

/// PEFT adapts whatever has that name: in the towers of Qwen's models the convolution that makes patches, too.
std::optional<Error> check_patches(const Job& job) {
  const std::vector<std::string>& targets = job.recipe.lora.targets;
  const bool names_patches = std::find(targets.begin(), targets.end(), "proj") != targets.end();
  if (!names_patches || !job.description.tower || job.description.tower->patch_frames == 0) return std::nullopt;
  return Error{"--lora-targets", "\"proj\" is the convolution patch_embed.proj too, whose adapter is not modelled",
               "name other layers, or all-linear"};
}

std::optional<Error> check_targets(const Job& job) {
  const Lora& lora = job.recipe.lora;
  if (lora.targets.empty()) return std::nullopt;
  const std::vector<std::string> known = linear_modules(job);
  for (const std::string& target : lora.targets)
    if (std::find(known.begin(), known.end(), target) == known.end())
      return Error{"--lora-targets", in_quotes(target) + " is no linear layer that can be adapted", targets_of(known)};
  return check_patches(job);
}

/// PEFT adapts nothing within what it copies, but for a module whose name only ends so, whose adapter it would copy.
std::optional<Error> check_copied_targets(const Job& job) {
  const Lora& lora = job.recipe.lora;
  const Program program = built(job);
  const bool adapts = std::any_of(program.scopes.begin(), program.scopes.end(),
                                  [](const ScopeName& scope) { return std::string_view(scope.name) == "lora_A"; });
  if (!adapts)
    return Error{"--lora-modules-to-save", "leaves no module to adapt, at which PEFT raises an error",
                 "name other --lora-targets"};
  for (const std::string& module : linear_modules(job))
    for (const std::string& name : lora.saved)
      if (module != name && module.ends_with(name) && lora.adapts(module))
        return Error{"--lora-modules-to-save", in_quotes(name) + " would copy " + module + " with its adapter",
                     "leave it out of --lora-targets"};
  return std::nullopt;
}

/// The task_type with which PEFT saves the head of such a model by itself.
std::string copying_type(Task task) {
  return task == Task::kSequenceClassification ? "SEQ_CLS"
         : task == Task::kTokenClassification  ? "TOKEN_CLS"
         : task == Task::kQuestionAnswering    ? "QUESTION_ANS"
                                               : "";
}

std::optional<Error> check_modules_to_save(const Job& job) {
  const Task task = job.description.task;
  const std::vector<std::string>& saved = job.recipe.lora.saved;
  if (saved.empty()) return std::nullopt;
  if (task == Task::kMaskedLm || task == Task::kSeq2SeqLm || task == Task::kPreTraining)
    return Error{"--lora-modules-to-save", "is not modelled for this task",
                 "known for it: causal-lm, classification, question-answering"};
  const std::vector<std::string> known = modules_to_save(job);
  for (const std::string& name : saved)
    if (std::find(known.begin(), known.end(), name) == known.end())
      return Error{"--lora-modules-to-save", in_quotes(name) + " is no module that can be copied here",
                   "this model has " + list_of(known)};
  return check_copied_targets(job);
}

void read_modules_to_save(const Options& asked, Request& request) {
  const Task task = request.job.description.task;
  if (!asked.has("lora-modules-to-save")) {
    const std::string type = copying_type(task);
    request.assumptions.emplace_back(
        "everything but the adapters is frozen, heads too" +
        (type.empty() ? "" : " (PEFT's TaskType." + type + " trains a copy of the head: --lora-modules-to-save)"));
    return;
  }
  std::vector<std::string>& saved = request.job.recipe.lora.saved;
  saved = asked.list("lora-modules-to-save");
  request.assumptions.emplace_back("everything but the adapters and copies of " + list_of(saved) +
                                   " is frozen; what was copied stays on the device");
}

std::optional<Error> read_lora(const Options& asked, Request& request) {
  if (!asked.has("lora-rank")) {
    for (const char* name : {"lora-targets", "lora-modules-to-save", "lora-dropout", "lora-dtype"})
      if (asked.has(name))
        return Error{"--" + std::string(name), "says how, but there is no adapter", "add --lora-rank 16"};
    return std::nullopt;
  }
  Lora& lora = request.job.recipe.lora;
  lora.rank = asked.size("lora-rank").value_or(16);
  if (!asked.size("lora-rank")) request.assumptions.emplace_back("lora-rank: 16");  // a letter, in a formula
  lora.full_precision = read_choice(asked, request, "lora-dtype") == "fp32";
  if (const std::string* dropout = asked.text("lora-dropout")) {
    const Result<double> share = parse_share(*dropout, "--lora-dropout");
    if (!share) return share.error();
    lora.dropout = *share;
  }
  if (auto wrong = read_targets(asked, request)) return wrong;
  warn_of_adapted_experts(request);
  read_modules_to_save(asked, request);
  return std::nullopt;
}

std::optional<Error> check_int8(const Job& job) {
  if (job.recipe.double_quant)
    return Error{"--double-quant", "is for constants of 4-bit blocks, and int8 has none", "drop it"};
  return std::nullopt;
}

std::optional<Error> check_quantized(const Job& job) {
  const Recipe& recipe = job.recipe;
  if (recipe.lora.rank == 0)
    return Error{"--quantize", "stores weights that are frozen, and here all are trained",
                 "add --lora-rank 16 --lora-targets all-linear"};
  if (recipe.quantize == Quantize::kInt8 && !recipe.trainer->half_adapters && !recipe.lora.full_precision)
    return Error{"--lora-dtype", "is fp32 beside int8 weights, whose dtype adapters cannot have", "drop it"};
  if (!recipe.lora.saved.empty() &&
      (job.description.task != Task::kCausalLm || recipe.trainer->transformers != Transformers::kV523))
    return Error{"--lora-modules-to-save", "is not modelled here beside quantized weights",
                 "known for it: causal-lm, and trainers of transformers 5.23"};
  if (recipe.quantize == Quantize::kInt8)
    if (auto wrong = check_int8(job)) return wrong;
  if (job.description.family == "falcon")
    return Error{"--quantize",
                 "packs nothing of falcon: transformers 5.23 packs what is torch.nn.Linear itself, and Falcon's layers "
                 "are a class of their own, so that the model would stay whole, in fp32",
                 "drop it"};
  if (job.description.family == "gpt2" || !quantizes_linear_layers(job))  // whatever its head is
    return Error{"--quantize", "is not modelled for " + job.description.family, "its layers are Conv1D"};
  return std::nullopt;
}

std::optional<Error> read_quantization(const Options& asked, Request& request) {
  Recipe& recipe = request.job.recipe;
  if (const std::string* format = asked.text("quantize")) recipe.quantize = value_in(kQuantizes, *format);
  recipe.double_quant = asked.flag("double-quant");
  if (recipe.quantize == Quantize::kNone)
    return recipe.double_quant
               ? std::optional(Error{"--double-quant", "says how, but nothing is quantized", "add --quantize nf4"})
               : std::nullopt;
  const bool in_8_bits = recipe.quantize == Quantize::kInt8;
  if (in_8_bits && recipe.checkpointing == Checkpointing::kFull)
    request.warnings.emplace_back(
        "checkpointing full does not free what 8-bit layers are applied to: bitsandbytes holds it beside autograd; "
        "full-reentrant does");
  request.assumptions.emplace_back(
      in_8_bits ? "8-bit products: no activation passes the threshold of 6.0, so none is multiplied in 16 bits"
                : "4-bit weights in the forward pass: dequantized where a micro-batch has more than 1536 tokens");
  return std::nullopt;
}

}  // namespace

std::optional<Error> check_adapters(const Job& job) {
  const Recipe& recipe = job.recipe;
  if (recipe.lora.rank > 0)
    for (const auto check : {check_targets, check_mixture_adapters, check_modules_to_save})
      if (auto wrong = check(job)) return wrong;
  return recipe.quantize == Quantize::kNone ? std::nullopt : check_quantized(job);
}

std::optional<Error> read_adapters(const Options& asked, Request& request) {
  if (auto wrong = read_lora(asked, request)) return wrong;
  return read_quantization(asked, request);
}

}  // namespace peakmem
