// Megatron-Core's mixture of experts (0.16.1, transformer/moe/).
#pragma once

#include <memory>
#include <vector>

#include "megatron/modules.h"

namespace peakmem::mcore {

/// What all layers' routers log of their losses: made at the first, and kept.
struct RouterState {
  Tensor logged;      // a number for each layer
  Tensor loss_scale;  // MoEAuxLossAutoScaler.main_loss_backward_scale
};

/// MoELayer with a TopKRouter, an all-to-all token dispatcher and the experts of this rank, one after another
/// (SequentialMLP). Tokens are spread evenly over experts.
class MoeLayer {
 public:
  explicit MoeLayer(const Builder& b);
  Tensor operator()(const Tensor& hidden_states);

 private:
  /// Probabilities [tokens, experts] of those that were chosen, and which these are.
  struct Routing {
    Tensor probs, map;
  };
  Routing route(const Tensor& hidden_states);
  Tensor with_aux_loss(const Tensor& probs, const Tensor& logits);
  Tensor run_experts(const Tensor& tokens, const Tensor& probs) const;

  const Builder& b_;
  int64_t local_experts_;
  Tensor router_;
  std::vector<std::unique_ptr<Mlp>> experts_;
  // The dispatcher names them to its next call.
  Tensor probs_, map_, mapping_;
};

}  // namespace peakmem::mcore
