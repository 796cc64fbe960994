// The modules that Megatron-Core's models are built of, each with the memory behaviour of its original (0.16.1).
//
// A constructor makes parameters in the order PyTorch registers them; a call reads like the original's forward, with
// the same names alive for as long. Tensors are [sequence, batch, hidden].
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "megatron/job.h"
#include "megatron/te.h"

namespace peakmem::mcore {

/// What gradients and the optimizer ask of a parameter beside its tensor.
struct Trait {
  bool on_host = false;  // made in fp32 on the host, moved and cast later (torch.nn's modules)
  bool casts = true;     // made in fp32 there; else in the model's dtype
  bool expert = false;   // of an expert, not shared by all data-parallel ranks
  bool sums = false;     // marked sequence_parallel: its gradient is summed over tensor-parallel ranks
  bool shared = false;   // an embedding that the first and the last stage have
};

struct RouterState;

/// What all of TransformerEngine's modules on a GPU share: the products' workspace, where sequences begin, and of
/// grouped products a workspace for each of their streams, from the first on.
struct TeState {
  Tensor workspace, sequence_starts;
  std::array<Tensor, 4> grouped_workspaces;
};

/// What every module needs.
struct Builder {
  Tape& tape;
  const Job& job;
  GlobalBuffer& buffer;
  std::vector<Trait>& traits;  // by parameter
  RouterState* router = nullptr;
  TeState* te = nullptr;
  WeightGradients* gradients = nullptr;

  Tensor parameter(const Shape& shape, const char* name, const Trait& trait = {}) const;
  int64_t tp() const { return job.degrees.tp; }
  /// torch.use_deterministic_algorithms, which Megatron-LM's own loop calls under its deterministic_mode.
  bool has_deterministic_algorithms() const { return job.kernels.deterministic && job.training.pretrains; }
  /// Ranks among which the sequence is divided between tensor-parallel regions.
  int64_t sequence_ranks() const { return job.degrees.sequence_parallel ? job.degrees.tp : 1; }
};

/// A module whose parameters are recorded under its name.
template <class Module, class... Choices>
Module named(const Builder& b, const char* name, Choices... choices) {
  const Scope scope(b.tape, name);
  return Module(b, choices...);
}

/// What linear layers may have otherwise: experts' have a degree of tensor parallelism of their own, and no
/// communication in them; TransformerEngine's are its own, and have the norm before them in them.
struct LinearKind {
  bool bias = true;
  bool expert = false;
  bool te = false;
  bool norms = false;
};

/// ColumnParallelLinear: this rank has a part of the output's features. The bias is added unless the caller does it.
class ColumnParallelLinear {
 public:
  ColumnParallelLinear(const Builder& b, int64_t in, int64_t out, LinearKind kind, bool skips_bias);
  /// One whose weight is another module's.
  ColumnParallelLinear(const Builder& b, Tensor weight);
  Tensor operator()(const Tensor& input) const;
  const Tensor& bias() const { return bias_; }
  const Tensor& weight() const { return weight_; }
  /// Its weight's products wait there.
  void defer(DeferredProducts& deferred) { deferred_ = &deferred; }

 private:
  const Builder& b_;
  NormParameters norm_;
  Tensor weight_;
  Tensor bias_;
  DeferredProducts* deferred_ = nullptr;
  int64_t gathers_ = 1;
  bool skips_bias_ = false;
  bool te_ = false;
};

/// RowParallelLinear: this rank has a part of the input's features, and what it makes is summed over ranks. Its bias is
/// for the caller to add.
class RowParallelLinear {
 public:
  RowParallelLinear(const Builder& b, int64_t in, int64_t out, LinearKind kind);
  Tensor operator()(const Tensor& input) const;
  const Tensor& bias() const { return bias_; }

 private:
  const Builder& b_;
  Tensor weight_;
  Tensor bias_;
  int64_t scatters_ = 1;
  bool te_ = false;
};

/// A norm's parameters; TransformerEngine makes them on the device.
NormParameters norm_parameters(const Builder& b, int64_t width);

/// torch.nn.LayerNorm or RMSNorm, or Apex' layer norm, which keeps the same; or TransformerEngine's.
class Normalization {
 public:
  Normalization(const Builder& b, int64_t width);
  Tensor operator()(const Tensor& input) const;

 private:
  const Builder& b_;
  NormParameters norm_;
};

/// _bias_dropout_add_func (fusions/fused_bias_dropout.py).
Tensor bias_dropout_add(const Builder& b, Tensor x, const Tensor& bias, const Tensor& residual);

/// The activation of an MLP's first product, and its bias if there is one; of experts the result is weighed by what the
/// routing gave every token, `scales`.
Tensor activation(const Builder& b, const Tensor& input, const Tensor& bias);
Tensor weighted_activation(const Builder& b, const Tensor& input, const Tensor& bias, const Tensor& scales);

/// A layer's MLP, which has the norm before it under TransformerEngine's spec, one of the experts, or the MLP beside
/// them.
enum class MlpKind : uint8_t { kDense, kExpert, kShared };

/// MLP (transformer/mlp.py). `scales`: of an expert, the routing's weight of each token.
class Mlp {
 public:
  Mlp(const Builder& b, int64_t ffn, MlpKind kind);
  Tensor operator()(const Tensor& hidden_states, const Tensor& scales = {}) const;
  const Tensor& bias() const { return linear_fc2_.bias(); }

 private:
  const Builder& b_;
  ColumnParallelLinear linear_fc1_;
  RowParallelLinear linear_fc2_;
};

}  // namespace peakmem::mcore
