// LoRA: a frozen model with a trained low-rank pair beside some of its linear layers
// (PEFT 0.21.2, tuners/lora/layer.py).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/quantized.h"
#include "trace/tape.h"

namespace peakmem {

struct Builder;

/// Whether a module of that name is the head of a language model (get_output_embeddings), which PEFT leaves alone where
/// all linear layers are asked for.
bool is_language_head(std::string_view module);
/// Whether a linear layer is stored whole beside quantized ones: a language model's head, and the model's last one if
/// its weight is its last parameter, which a decoder's classifier is that has no bias (transformers 5.23,
/// quantizers/base.py, get_keys_to_not_convert: of others the last parameter's name is no module's).
bool stays_whole(std::string_view module, bool has_bias);

/// What LoRA adds; nothing where the rank is 0.
struct Lora {
  int64_t rank = 0;
  std::vector<std::string> targets;  // names of modules; none: every linear layer but a language head ("all-linear")
  double dropout = 0;
  bool full_precision =
      true;                  // adapters in fp32 over half weights (autocast_adapter_dtype), else in the weights' dtype
  bool in_bfloat16 = false;  // whatever the weights are: SFTTrainer's beside quantized ones
  std::vector<std::string> saved;  // names of modules that a trained copy stands in for (modules_to_save)

  /// What adapters are kept in beside weights of a dtype that nothing casts.
  DType dtype(DType weights) const {
    return in_bfloat16 ? DType::kBFloat16 : full_precision ? DType::kFloat32 : weights;
  }
  /// Whether the module of that name gets a pair; PEFT compares the last part of a dotted name.
  bool adapts(std::string_view module) const;
  static std::string_view last_name(std::string_view module);
  /// Whether the module of that path is in one that is saved: PEFT compares how a dotted name ends.
  bool saves(std::string_view path) const;
};

/// The pair A [r, in] and B [out, r] of one linear layer; empty where that layer is no target.
class LoraPair {
 public:
  LoraPair() = default;
  /// `beside`: how that layer's weight is stored.
  LoraPair(const Builder& b, const char* module, Expr in, Expr out, Quantize beside);

  explicit operator bool() const { return static_cast<bool>(a_); }
  /// What lora.Linear.forward, lora.Linear8bitLt.forward or lora.Linear4bit.forward does after its base layer: result +
  /// B(A(dropout(x))) * scaling, in the result's dtype.
  Tensor operator()(Tensor result, const Tensor& input) const;

 private:
  Tensor update(const Tensor& x) const;
  Tensor a_;
  Tensor b_;
  double dropout_ = 0;
  Quantize beside_ = Quantize::kNone;
};

}  // namespace peakmem
