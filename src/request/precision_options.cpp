#include "request/precision_options.h"

#include <algorithm>

#include "request/choices.h"
#include "request/expert_options.h"

namespace peakmem {
namespace {

const PrecisionName& row_of(std::string_view name) {
  return *std::find_if(kPrecisions.begin(), kPrecisions.end(), [&](const auto& row) { return row.name == name; });
}

const PrecisionName& asked_precision(const Options& asked, Request& request) {
  const std::string* experts = asked.text("experts");
  const bool grouped = routes_tokens(request.job.description) && (experts == nullptr || *experts != "loop");
  if (!grouped || asked.has("precision")) return row_of(read_choice(asked, request, "precision"));
  request.assumptions.emplace_back("precision: bf16, the only one the grouped GEMM of experts takes");
  return row_of("bf16");
}

}  // namespace

std::optional<Error> read_precision(const Options& asked, Request& request) {
  Recipe& recipe = request.job.recipe;
  const PrecisionName& row = asked_precision(asked, request);
  recipe.weights = row.weights;
  recipe.autocast = row.autocast;
  if (row.autocast && !asked.has("autocast")) return std::nullopt;
  const std::string name(read_choice(asked, request, "autocast"));
  recipe.autocast = value_in(kAutocasts, name);
  if (row.autocast && recipe.autocast != row.autocast)
    return Error{"--autocast",
                 name + " contradicts --precision " + std::string(row.name) + ", which is fp32 with --autocast " +
                     std::string(name_in(kAutocasts, row.autocast)),
                 "drop it, or pass --precision fp32"};
  return std::nullopt;
}

// GradScaler (torch/amp/grad_scaler.py) makes its tensors at the first loss, and fails over gradients in fp16.
void say_of_fp16(Request& request) {
  constexpr DType kHalf = DType::kFloat16;
  const Recipe& recipe = request.job.recipe;
  const bool packed = recipe.quantize != Quantize::kNone;
  if (recipe.weights == kHalf && !recipe.autocast && !packed)
    request.warnings.emplace_back(
        "weights in fp16 and no autocast: fp16=True of TrainingArguments is fp16-mixed, with a gradient scaler");
  if (recipe.autocast != kHalf) return;
  if (trained_dtype(recipe) == kHalf)
    request.warnings.emplace_back(
        "a gradient scaler fails over what is trained in fp16 (\"Attempting to unscale FP16 gradients\"), so none is "
        "assumed: fp16=True of TrainingArguments wants fp32");
  else
    request.assumptions.emplace_back(
        "gradient scaler: its scale, growth tracker, found_inf and inverse scale, a block of 512 bytes each, are not "
        "counted");
}

}  // namespace peakmem
