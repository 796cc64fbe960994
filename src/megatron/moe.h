// Megatron-Core's mixture of experts (0.16.1, transformer/moe/).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "megatron/checkpoint.h"
#include "megatron/experts.h"
#include "megatron/router.h"

namespace peakmem::mcore {

/// What all layers' routers log of their losses: made at the first, and kept.
struct RouterState {
  Tensor logged;      // a number for each layer
  Tensor loss_scale;  // MoEAuxLossAutoScaler.main_loss_backward_scale
  RecomputedLeaves leaves;
};

/// MoELayer with a TopKRouter, an all-to-all or all-gather token dispatcher, the experts of this rank and one that all
/// tokens share. Tokens are spread evenly over experts.
class MoeLayer {
 public:
  explicit MoeLayer(const Builder& b);
  Tensor operator()(const Tensor& hidden_states);

 private:
  Tensor forward(const Tensor& hidden_states);
  Tensor forward_gathered(const Tensor& hidden_states);
  Tensor dispatch(const Tensor& hidden_states);
  Tensor unpermute(const Tensor& permuted, Expr tokens) const;
  /// Tokens sorted by expert, each with its probability.
  struct Permuted {
    Tensor tokens, probs;
  };
  Permuted permute(const Tensor& flat, int64_t sent);
  Permuted permute_padded(const Tensor& flat, int64_t each);
  /// `outer` × `inner` chunks of equal length, the inner ones first.
  Tensor reorder(const Tensor& x, int64_t outer, int64_t inner) const;
  /// What is counted of the tokens before they are sent.
  void count_tokens() const;
  /// Of the tokens that one rank sends, how many go to each of this rank's experts.
  std::vector<Expr> tokens_of_experts(int64_t sent) const;
  /// Tokens of all ranks, sorted by expert and run, and back in the order they came.
  Tensor compute(const Tensor& received, const Tensor& probs, const std::vector<Expr>& mine) const;

  const Builder& b_;
  int64_t local_experts_;
  int64_t first_expert_;
  int64_t ep_;
  int64_t tp_;  // of the experts
  TopKRouter router_;
  Experts experts_;
  std::optional<Mlp> shared_experts_;
  // The dispatcher names them to its next call.
  Tensor probs_, map_, mapping_;
  std::shared_ptr<const RecomputedLeaf> leaf_;  // in which the graph of probs_ ends, if that ran again
};

}  // namespace peakmem::mcore
