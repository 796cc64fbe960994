// A mixture of experts in the place of an MLP (transformers 5.23, models/mixtral/modeling_mixtral.py and
// integrations/moe.py).
#pragma once

#include "model/modules.h"

namespace peakmem {

/// MixtralSparseMoeBlock: a router and its experts, whose weights are two parameters of three dimensions. The experts'
/// products are grouped GEMMs (grouped_mm_experts_forward), whose memory does not depend on how tokens are spread.
class SparseMoe {
 public:
  explicit SparseMoe(const Builder& builder);
  Tensor operator()(const Tensor& input) const;

 private:
  /// MixtralTopKRouter's router_logits, router_scores and router_indices.
  struct Routing {
    Tensor logits;
    Tensor weights;
    Tensor indices;
  };
  Routing route(const Tensor& hidden_states) const;
  Tensor experts(const Tensor& hidden_states, const Tensor& top_k_index, const Tensor& top_k_weights) const;
  Tensor apply_gate(const Tensor& gate_up) const;

  const Builder& b_;
  Tensor router_;
  Tensor gate_up_proj_;
  Tensor down_proj_;
};

}  // namespace peakmem
