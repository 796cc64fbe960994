// The names of a recipe's choices, as every face spells them.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "recipe/optimizers.h"
#include "recipe/recipe.h"
#include "size/wording.h"

namespace peakmem {

/// A choice and its name.
template <class T>
struct Choice {
  T value;
  std::string_view name;
};

/// What --precision takes: what weights are kept in, and for a short name also what autocast runs over them.
struct PrecisionName {
  std::string_view name;
  DType weights;
  std::optional<DType> autocast;
};

inline constexpr std::array<PrecisionName, 5> kPrecisions = {{{"fp32", DType::kFloat32, std::nullopt},
                                                              {"bf16", DType::kBFloat16, std::nullopt},
                                                              {"fp16", DType::kFloat16, std::nullopt},
                                                              {"bf16-mixed", DType::kFloat32, DType::kBFloat16},
                                                              {"fp16-mixed", DType::kFloat32, DType::kFloat16}}};
inline constexpr std::array<Choice<std::optional<DType>>, 3> kAutocasts = {
    {{std::nullopt, "none"}, {DType::kBFloat16, "bf16"}, {DType::kFloat16, "fp16"}}};
inline constexpr std::array<Choice<Attention>, 3> kAttentions = {
    {{Attention::kEager, "eager"}, {Attention::kSdpa, "sdpa"}, {Attention::kFlash2, "flash2"}}};
inline constexpr std::array<Choice<Kernel>, 2> kKernels = {{{Kernel::kHf, "hf"}, {Kernel::kFused, "fused"}}};
inline constexpr std::array<Choice<Kernel>, 3> kNormKernels = {
    {{Kernel::kHf, "hf"}, {Kernel::kFused, "fused"}, {Kernel::kFoak, "foak"}}};
inline constexpr std::array<Choice<LossKernel>, 6> kLossKernels = {{{LossKernel::kHf, "hf"},
                                                                    {LossKernel::kFusedLinear, "fused-linear"},
                                                                    {LossKernel::kChunked, "chunked"},
                                                                    {LossKernel::kFoak, "foak"},
                                                                    {LossKernel::kPlain, "plain"},
                                                                    {LossKernel::kCut, "cut"}}};
/// Kernels that are chosen together.
inline constexpr std::array<Choice<Kernels>, 2> kKernelPresets = {
    {{{}, "hf"}, {{Kernel::kFused, Kernel::kFused, Kernel::kFused, LossKernel::kFusedLinear}, "liger"}}};
inline constexpr std::array<Choice<Checkpointing>, 3> kCheckpointings = {
    {{Checkpointing::kNone, "none"},
     {Checkpointing::kFull, "full"},
     {Checkpointing::kFullReentrant, "full-reentrant"}}};
inline constexpr std::array<Choice<Quantize>, 4> kQuantizes = {
    {{Quantize::kNone, "none"}, {Quantize::kNf4, "nf4"}, {Quantize::kFp4, "fp4"}, {Quantize::kInt8, "int8"}}};
inline constexpr std::array<Choice<Objective>, 8> kObjectives = {{{Objective::kTask, "task"},
                                                                  {Objective::kDpo, "dpo"},
                                                                  {Objective::kReward, "reward"},
                                                                  {Objective::kKto, "kto"},
                                                                  {Objective::kOrpo, "orpo"},
                                                                  {Objective::kCpo, "cpo"},
                                                                  {Objective::kSimpo, "simpo"},
                                                                  {Objective::kGrpo, "grpo"}}};
/// Whether another engine than the model itself makes completions.
inline constexpr std::array<Choice<bool>, 2> kSamplers = {{{false, "model"}, {true, "vllm"}}};
inline constexpr std::array<Choice<Reference>, 4> kReferences = {{{Reference::kNone, "none"},
                                                                  {Reference::kCopy, "copy"},
                                                                  {Reference::kAdapter, "adapter"},
                                                                  {Reference::kPrecomputed, "precomputed"}}};
inline constexpr std::array<Choice<Experts>, 2> kExperts = {{{Experts::kGrouped, "grouped"}, {Experts::kLoop, "loop"}}};
inline constexpr std::array<Choice<Transformers>, 3> kTransformers = {
    {{Transformers::kV523, "5.23"}, {Transformers::kV448, "4.48"}, {Transformers::kV445, "4.45"}}};
inline constexpr std::array<Choice<Upcast>, 3> kUpcasts = {
    {{Upcast::kAll, "all"}, {Upcast::kNorms, "norms"}, {Upcast::kNone, "none"}}};
/// Whether the model is built on the device.
inline constexpr std::array<Choice<bool>, 2> kInits = {{{true, "device"}, {false, "loaded"}}};
inline constexpr std::array<Choice<bool>, 2> kYesNo = {{{true, "yes"}, {false, "no"}}};
/// What FSDP1 gathers ahead in the backward pass.
inline constexpr std::array<Choice<Prefetch>, 3> kPrefetches = {
    {{Prefetch::kNone, "none"}, {Prefetch::kPre, "pre"}, {Prefetch::kPost, "post"}}};
inline constexpr std::array<Choice<LoopNames>, 3> kLoopNames = {
    {{LoopNames::kOutputs, "yes"}, {LoopNames::kLoss, "loss"}, {LoopNames::kNothing, "no"}}};
inline constexpr std::array<Choice<OptimizerImpl>, 3> kOptimizerImpls = {
    {{OptimizerImpl::kLoop, "loop"}, {OptimizerImpl::kForeach, "foreach"}, {OptimizerImpl::kFused, "fused"}}};
inline constexpr std::array<Choice<DType>, 3> kTrainingDTypes = {
    {{DType::kFloat32, "fp32"}, {DType::kBFloat16, "bf16"}, {DType::kFloat16, "fp16"}}};

template <class T, size_t N>
constexpr std::string_view name_in(const std::array<Choice<T>, N>& choices, T value) {
  for (const Choice<T>& choice : choices)
    if (choice.value == value) return choice.name;
  return {};
}

/// The value of that name; the first one where no choice has it, which checked options never ask for.
template <class T, size_t N>
constexpr T value_in(const std::array<Choice<T>, N>& choices, std::string_view name) {
  for (const Choice<T>& choice : choices)
    if (choice.name == name) return choice.value;
  return choices[0].value;
}

/// The implementations that an optimizer has, as a list.
inline std::string impls_of(const Optimizer& optimizer) {
  std::string names;
  for (const auto& [impl, name] : kOptimizerImpls)
    if (update_of(optimizer, impl).available) add_to_list(names, name);
  return names;
}

}  // namespace peakmem
