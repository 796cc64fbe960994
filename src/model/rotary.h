// Rotary position embeddings (transformers 5.23, models/llama/modeling_llama.py: LlamaRotaryEmbedding,
// apply_rotary_pos_emb).
#pragma once

#include <memory>
#include <optional>

#include "model/modules.h"

namespace peakmem {

/// What every layer is told of positions: cos and sin of the rotary embedding, [1, T, rotary], and the positions
/// themselves.
struct Rotation {
  Tensor position_ids;
  Tensor cos;
  Tensor sin;
  bool turns = true;  // whether the layer applies it, or is merely told
};

/// What layers of each kind are told; most decoders tell all the same.
struct Rotations {
  Rotation full;
  Rotation windowed;

  Rotations() = default;
  Rotations(const Rotation& of_all) : full(of_all), windowed(of_all) {}  // NOLINT(google-explicit-constructor)
  const Rotation& of(bool is_windowed) const { return is_windowed ? windowed : full; }
};

/// The frequencies, and the angles of all positions.
class RotaryEmbedding {
 public:
  /// `keeps_original`: whether the frequencies are kept twice, the second time as they were before anything scales
  /// them.
  explicit RotaryEmbedding(const Builder& builder, const char* name = "rotary_emb", bool keeps_original = true);
  /// In the dtype of the hidden states.
  Rotation operator()(const Tensor& hidden_states, const Tensor& position_ids) const {
    return in_dtype(hidden_states.dtype(), position_ids);
  }

 protected:
  friend class RotaryByKind;
  Rotation in_dtype(DType dtype, const Tensor& position_ids) const;

 private:
  Rotation in_dtype_4_48(DType dtype, const Tensor& position_ids) const;
  /// dynamic_rope_update: asks for the longest position first.
  void update() const;
  /// longrope_frequency_update: frequencies for sequences past the trained length are made once and kept; one of both
  /// sets is copied to where the frequencies are.
  void choose_frequencies() const;
  /// _compute_longrope_parameters on the device.
  Tensor make_long_frequencies() const;
  const Builder& b_;
  const char* name_;
  Tensor inv_freq_;
  Tensor original_inv_freq_;
  std::shared_ptr<Tensor> long_inv_freq_ = std::make_shared<Tensor>();  // one, however often a decoder copies its parts
};

/// Gemma3RotaryEmbedding: one for each kind of layer there is.
class RotaryByKind {
 public:
  explicit RotaryByKind(const Builder& b);
  Rotations operator()(const Tensor& hidden_states, const Tensor& position_ids) const {
    return in_dtype(hidden_states.dtype(), position_ids);
  }

 protected:
  Rotations in_dtype(DType dtype, const Tensor& position_ids) const;

 private:
  std::optional<RotaryEmbedding> full_, windowed_;
};

/// Layers without a window are told of positions, and turn nothing (Cohere 2).
struct WindowedRotary : RotaryEmbedding {
  using RotaryEmbedding::RotaryEmbedding;
  Rotations operator()(const Tensor& hidden_states, const Tensor& position_ids) const {
    Rotations rotations = in_dtype(hidden_states.dtype(), position_ids);
    rotations.full.turns = false;
    return rotations;
  }
};

/// The rotation as a layer gets it: FSDP2 casts what it hands to a unit (MixedPrecisionPolicy.cast_forward_inputs).
Rotation layer_inputs(const Builder& b, const Rotation& rotation);
/// x·cos + rotate_half(x)·sin of [B, heads, T, D].
Tensor rotate(const Tensor& x, const Tensor& cos, const Tensor& sin);
/// stack((-x2, x1)) of every second feature: rotate_half where neighbours are a pair.
Tensor rotate_every_two(const Tensor& x);
/// x·cos + rotate_every_two(x)·sin.
Tensor rotate_pairs(const Tensor& x, const Tensor& cos, const Tensor& sin);
/// x[..., :half].repeat_interleave(2, dim=-1) of what layers are told, [1, 1, T, rotary].
Tensor repeat_pairs(const Tensor& x);
/// Queries and keys, turned.
void apply_rotary(const Builder& b, Tensor& query, Tensor& key, const Rotation& rotation);

/// The same in fp32 whatever they are, and cast back: ModernBERT and ESM.
void apply_rotary_upcast(const Builder& b, Tensor& query, Tensor& key, const Tensor& cos, const Tensor& sin);

/// A head's first features, as many as the rotary embedding turns, and the rest, which may be none.
struct HeadParts {
  Tensor turned;
  Tensor rest;
};
HeadParts head_parts(const Builder& b, const Tensor& x);

/// When parts that were turned are joined to the rest: each at once (Phi-3), when both are turned (GPT-NeoX), or so
/// that both parts live until both are joined (Nemotron).
enum class Joined : uint8_t { kEach, kAfterBoth, kTogether };
/// apply_rotary_pos_emb of a part of every head.
void apply_partial_rotary(const Builder& b, Tensor& query, Tensor& key, const Rotation& rotation, Joined joined);

}  // namespace peakmem
