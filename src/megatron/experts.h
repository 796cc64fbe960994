// The experts that a rank has (Megatron-Core 0.16.1, transformer/moe/experts.py): one after another, or all at once in
// grouped products.
#pragma once

#include <memory>
#include <vector>

#include "megatron/modules.h"

namespace peakmem::mcore {

/// SequentialMLP, or TEGroupedMLP over TransformerEngine's GroupedLinear.
class Experts {
 public:
  Experts(const Builder& b, int64_t count);
  /// Tokens sorted by expert, `lengths` of each, and the routing's weight of every token.
  Tensor operator()(const Tensor& tokens, const Tensor& probs, const std::vector<Expr>& lengths) const;

 private:
  Tensor one_by_one(const Tensor& tokens, const Tensor& probs, const std::vector<Expr>& lengths) const;
  Tensor at_once(const Tensor& tokens, const Tensor& probs) const;

  const Builder& b_;
  std::vector<std::unique_ptr<Mlp>> mlps_;
  std::vector<Tensor> linear_fc1_, linear_fc2_;  // of each expert, where products are grouped
};

}  // namespace peakmem::mcore
