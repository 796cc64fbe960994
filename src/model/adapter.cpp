#include "model/adapter.h"

#include <algorithm>
#include <array>
#include <utility>

#include "model/adapted_parameter.h"
#include "model/called.h"

namespace peakmem {
namespace {

Tensor projection(const Builder& b, const char* name, DType dtype, Expr in, Expr out) {
  const Scope scope(b.tape, name);
  return b.tape.parameter({out, in}, dtype, "weight");
}

Tensor apply(const char* name, Tensor input, const Tensor& weight) {
  const Scope scope(weight.tape(), name);
  return linear(std::move(input), weight, Tensor());
}

}  // namespace

std::string_view Lora::last_name(std::string_view module) { return module.substr(module.rfind('.') + 1); }

bool is_language_head(std::string_view module) {
  static constexpr std::array<std::string_view, 5> kHeads = {"lm_head", "decoder", "vocab_projector",
                                                             "generator_lm_head", "proj_out"};
  return std::find(kHeads.begin(), kHeads.end(), module) != kHeads.end();
}

bool stays_whole(std::string_view module, bool has_bias) {
  return is_language_head(module) || (module == "score" && !has_bias);
}

bool Lora::adapts(std::string_view module) const {
  if (rank == 0) return false;
  module = last_name(module);
  if (targets.empty()) return !is_language_head(module);
  return std::find(targets.begin(), targets.end(), module) != targets.end();
}

bool Lora::saves(std::string_view path) const {
  for (size_t end = 0; end != std::string_view::npos;) {
    end = path.find('.', end + 1);
    const std::string_view module = path.substr(0, end);
    if (std::any_of(saved.begin(), saved.end(), [&](const std::string& name) { return module.ends_with(name); }))
      return true;
  }
  return false;
}

LoraPair::LoraPair(const Builder& b, const char* module, Expr in, Expr out, Quantize beside) {
  const Lora* lora = b.structure.lora;
  if (lora == nullptr || !lora->adapts(module) || b.saves()) return;
  const MixtureTargets* mixture = mixture_targets(b.description.family, b.structure.transformers);
  if (mixture != nullptr && mixture->has(module)) return;  // PEFT takes the name for the mixture's
  beside_ = beside;
  const bool as_weights = beside_ == Quantize::kNone || b.structure.casts_weights;  // FSDP casts all parameters alike
  const DType half = as_weights ? b.structure.weights : b.structure.packed;
  const DType dtype = b.structure.casts_weights ? half : lora->dtype(half);
  a_ = projection(b, "lora_A", dtype, in, b.dims.lora_rank);
  b_ = projection(b, "lora_B", dtype, b.dims.lora_rank, out);
  dropout_ = lora->dropout;
}

Tensor LoraPair::update(const Tensor& x) const {
  Tensor dropped;
  {
    const Called module(x.tape());
    dropped = peakmem::dropout(x, dropout_);
  }
  return mul_scalar(apply("lora_B", apply("lora_A", std::move(dropped), a_), b_));
}

Tensor LoraPair::operator()(Tensor result, const Tensor& input) const {
  if (!result.tape().adapters) return result;
  const DType result_dtype = result.dtype();
  if (beside_ == Quantize::kNone) {
    const Tensor x = to(input, a_.dtype());
    result = add(result, update(x));
    return to(std::move(result), result_dtype);
  }
  if (in_4_bits(beside_)) result = clone(result, contiguous(result.shape()));  // "we need to defensively clone here"
  if (result.tape().autocast.enabled) return add(result, update(input));
  const Tensor x = to(input, a_.dtype());
  return add(result, to(update(x), result_dtype));
}

}  // namespace peakmem
