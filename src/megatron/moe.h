// Megatron-Core's mixture of experts (0.16.1, transformer/moe/).
#pragma once

#include <vector>

#include "megatron/modules.h"

namespace peakmem::mcore {

/// MoELayer with a TopKRouter, a token dispatcher and the experts of this rank, one after another (SequentialMLP).
/// Tokens are spread evenly over experts.
class MoeLayer {
 public:
  explicit MoeLayer(const Builder& b);
  Tensor operator()(const Tensor& hidden_states) const;

 private:
  const Builder& b_;
  Tensor router_;
  std::vector<Mlp> experts_;
};

}  // namespace peakmem::mcore
