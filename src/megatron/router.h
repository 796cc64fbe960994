// Megatron-Core's router of a mixture (0.16.1, transformer/moe/router.py): which experts a token goes to, and with what
// weight.
#pragma once

#include "megatron/modules.h"

namespace peakmem::mcore {

/// Probabilities [tokens, experts] of those that were chosen, and which these are.
struct Routing {
  Tensor probs, map;
};

/// get_capacity (moe_utils.py): tokens of every expert, where those beyond it are dropped.
int64_t capacity_of(const Mixture& mixture, int64_t tokens);

/// TopKRouter.
class TopKRouter {
 public:
  explicit TopKRouter(const Builder& b);
  Routing operator()(const Tensor& hidden_states);

 private:
  Routing sinkhorn(const Tensor& logits) const;
  Routing top_k(const Tensor& logits) const;
  Tensor with_aux_loss(const Tensor& probs, const Tensor& logits);
  const Builder& b_;
  Tensor weight_;
};

}  // namespace peakmem::mcore
