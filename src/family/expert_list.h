// A mixture of experts as a list of modules (transformers 4.48, models/mixtral/modeling_mixtral.py).
#pragma once

#include <vector>

#include "family/llama.h"

namespace peakmem {

/// MixtralBlockSparseTop2MLP: one expert, of linear layers, which can be quantized and adapted.
struct Expert {
  const Builder& b;
  Linear w1, w2, w3;

  explicit Expert(const Builder& builder);
  Tensor operator()(const Tensor& hidden_states) const;
};

/// MixtralSparseMoeBlock of 4.48: a router and its experts, which run one after another.
class ExpertList {
 public:
  explicit ExpertList(const Builder& builder);
  Tensor operator()(const Tensor& input) const;

 private:
  const Builder& b_;
  Linear gate_;
  std::vector<Expert> experts_;
};

template <>
inline constexpr const char* kHeldAs<ExpertList> = "block_sparse_moe";

}  // namespace peakmem
