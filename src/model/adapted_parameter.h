// LoRA on a parameter rather than on a layer: PEFT's ParamWrapper, which the experts and routers of transformers 5 get
// (PEFT 0.21.2, tuners/lora/layer.py and utils/transformers_weight_conversion.py).
#pragma once

#include <string_view>

#include "model/modules.h"

namespace peakmem {

/// The modules that a mixture's parameters were in transformers 4, by whose names PEFT adapts them still; the router's
/// was `gate`.
struct MixtureTargets {
  std::string_view family;
  std::string_view gate, up;  // which are one parameter now, of twice the rank
  std::string_view down;

  bool has(std::string_view module) const { return module == "gate" || experts_have(module); }
  bool experts_have(std::string_view module) const { return module == gate || module == up || module == down; }
};

/// PEFT's names for a family's mixture; null where it has none, or where experts are modules.
const MixtureTargets* mixture_targets(std::string_view family, Transformers transformers);

/// A parameter of a module with, where it is a target, a pair A [rank · experts, in] and B [out, rank · experts].
class AdaptedParameter {
 public:
  AdaptedParameter() = default;
  /// `target`: the module it once was; `ranks`: how many of LoRA's rank it has.
  AdaptedParameter(const Builder& b, Tensor parameter, std::string_view target, int64_t ranks = 1);

 private:
  friend class Parametrization;
  void adapt(const Builder& b, int64_t ranks);
  /// get_delta_weight of a matrix: B·A · scaling, in the parameter's dtype.
  Tensor delta() const;
  /// get_delta_factors of a stack: B [experts, out, rank] and A [experts, rank, in], in the parameter's dtype.
  std::array<Tensor, 2> factors() const;

  Tensor parameter_;
  Tensor a_;
  Tensor b_;
  Expr experts_ = 1;
  Expr rank_ = 1;
  bool stacked_ = false;  // of several experts
  bool scaled_ = true;    // by something else than 1
};

/// What a module sees in a parameter's place while it runs (torch.nn.utils.parametrize, under cached()): made once to
/// be looked at, and again when it is first asked for.
class Parametrization {
 public:
  explicit Parametrization(const AdaptedParameter& parameter);
  const Tensor& operator()();

 private:
  Tensor made() const;
  const AdaptedParameter& of_;
  std::array<Tensor, 2> proxy_;  // the factors, or the delta
  Tensor cached_;
};

}  // namespace peakmem
