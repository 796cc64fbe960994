#include "model/adapted_parameter.h"

#include <algorithm>
#include <utility>

#include "trace/baddbmm.h"

namespace peakmem {
namespace {

// qwen2_moe has no row: _MODEL_TO_CONVERSION_PATTERN of transformers knows it by another name than PEFT asks for.
constexpr std::array<MixtureTargets, 5> kMixtures = {{
    {"mixtral", "w1", "w3", "w2"},
    {"qwen3_moe", "gate_proj", "up_proj", "down_proj"},
    {"olmoe", "gate_proj", "up_proj", "down_proj"},
    {"deepseek_v2", "gate_proj", "up_proj", "down_proj"},
    {"deepseek_v3", "gate_proj", "up_proj", "down_proj"},
}};

constexpr int64_t kAlpha = 8;  // LoraConfig.lora_alpha by default; over the rank it is the scaling

}  // namespace

const MixtureTargets* mixture_targets(std::string_view family, Transformers transformers) {
  if (transformers != Transformers::kV523) return nullptr;
  for (const MixtureTargets& row : kMixtures)
    if (row.family == family) return &row;
  return nullptr;
}

AdaptedParameter::AdaptedParameter(const Builder& b, Tensor parameter, std::string_view target, int64_t ranks)
    : parameter_(std::move(parameter)) {
  const Lora* lora = b.structure.lora;
  if (lora == nullptr || !lora->adapts(target) || b.saves()) return;
  if (mixture_targets(b.description.family, b.structure.transformers) != nullptr) adapt(b, ranks);
}

void AdaptedParameter::adapt(const Builder& b, int64_t ranks) {
  const KeptShape& shape = parameter_.shape();
  const Lora& lora = *b.structure.lora;
  const DType dtype = b.structure.casts_weights ? parameter_.dtype() : lora.dtype(parameter_.dtype());
  stacked_ = shape.rank == 3 && b.description.experts > 1;
  scaled_ = lora.rank != kAlpha;
  if (shape.rank == 3) experts_ = shape[0];
  rank_ = ranks * b.dims.lora_rank;
  const auto weight = [&](const char* name, const Shape& sizes) {
    const Scope scope(b.tape, name);
    return b.tape.parameter(sizes, dtype, "weight");
  };
  a_ = weight("lora_A", {rank_ * experts_, shape[-1]});
  b_ = weight("lora_B", {shape[-2], rank_ * experts_});
}

Tensor AdaptedParameter::delta() const {
  const Tensor a = to_low_precision(a_);
  const Tensor b = to_low_precision(b_);
  return to(mul_scalar(linear(b, transpose(a, 0, 1), Tensor())), parameter_.dtype());
}

std::array<Tensor, 2> AdaptedParameter::factors() const {
  const Tensor a = split_dim(a_, 0, experts_, rank_);
  const Tensor b = transpose(transpose(split_dim(b_, 1, rank_, experts_), 1, 2), 0, 1);
  Tensor left = to(b, parameter_.dtype());
  return {std::move(left), to(a, parameter_.dtype())};
}

Parametrization::Parametrization(const AdaptedParameter& parameter) : of_(parameter) {
  if (!of_.a_) return;
  if (of_.stacked_)
    proxy_ = of_.factors();
  else
    proxy_[0] = of_.delta();
  const NoGrad looked_at(of_.a_.tape());  // its node would keep what the proxy does, and goes at once
  made();
}

Tensor Parametrization::made() const {
  return of_.stacked_ ? baddbmm(of_.parameter_, proxy_[0], proxy_[1], of_.scaled_) : add(of_.parameter_, proxy_[0]);
}

const Tensor& Parametrization::operator()() {
  if (!of_.a_) return of_.parameter_;
  if (!cached_) cached_ = made();
  return cached_;
}

}  // namespace peakmem
