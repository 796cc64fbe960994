// A mixture of experts in the place of an MLP (transformers 5.23, models/mixtral/modeling_mixtral.py and
// integrations/moe.py).
#pragma once

#include <array>

#include "model/adapted_parameter.h"
#include "model/fields.h"
#include "model/modules.h"

namespace peakmem {

/// How many tokens an expert of the loop gets: as many as any, or what Imbalance leaves it.
Expr rows_of_expert(const Builder& b, int64_t expert);
/// torch.where's two indices of an expert's tokens, which share their memory: which choice it was, and which token.
std::array<Tensor, 2> tokens_of_expert(const Builder& b, int64_t expert);

/// grouped_mm_experts_forward around the products: pairs of a token and an expert it goes to, sorted by expert. Its
/// memory does not depend on how tokens are spread.
class SortedPairs {
 public:
  SortedPairs(const Builder& b, const Tensor& hidden_states, const Tensor& top_k_index, const Tensor& top_k_weights);
  const Tensor& expert_ids() const { return sorted_ids_; }
  const Tensor& selected() const { return selected_; }
  const Tensor& offsets() const { return offsets_; }
  /// What experts made of them, weighted and added up by token.
  Tensor mix(const Tensor& proj_out) const;

 private:
  const Builder& b_;
  Tensor hidden_states_, sample_weights_, unsorted_ids_, sorted_ids_, perm_, selected_, selected_weights_;
  Tensor histc_input_, tokens_per_expert_, offsets_;
};

/// MixtralSparseMoeBlock: a router and its experts, whose weights are two parameters of three dimensions.
class SparseMoe {
 public:
  /// Which of the two is registered first: Mixtral's router, Qwen3's experts.
  enum class First : uint8_t { kRouter, kExperts };
  explicit SparseMoe(const Builder& builder, First first = First::kRouter, const char* router = "gate");
  Tensor operator()(const Tensor& input) const;

 protected:
  /// MixtralTopKRouter's router_logits, router_scores and router_indices.
  struct Routing {
    Tensor logits;
    Tensor weights;
    Tensor indices;
  };
  Routing route(const Tensor& hidden_states) const;
  /// What the experts make of rows of hidden states.
  Tensor experts(const Tensor& rows, const Routing& routing) const;
  /// The router's logits of rows of hidden states.
  Tensor router_logits(const Tensor& hidden_states) const;
  /// The same in fp32, both of them cast.
  Tensor full_router_logits(const Tensor& hidden_states) const;

 private:
  /// Liger's experts in their place.
  Tensor fused(const Tensor& rows, const Routing& routing) const;
  void make_router(const char* name);
  void make_experts();
  /// grouped_mm_experts_forward.
  Tensor grouped(const Tensor& hidden_states, const Tensor& top_k_index, const Tensor& top_k_weights) const;
  /// MixtralExperts.forward. An expert's slice of a weight has a gradient as
  /// large as the whole.
  Tensor loop(const Tensor& hidden_states, const Tensor& top_k_index, const Tensor& top_k_weights) const;
  Tensor apply_gate(const Tensor& gate_up) const;

  const Builder& b_;
  AdaptedParameter router_;
  AdaptedParameter gate_up_proj_;
  AdaptedParameter down_proj_;
};

/// num_experts and num_experts_per_tok.
void read_experts(Fields& fields, Description& description, int64_t experts, int64_t per_token);

}  // namespace peakmem
