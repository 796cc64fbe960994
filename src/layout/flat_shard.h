// FSDP1: what torch.distributed.fsdp.FullyShardedDataParallel does to one rank's memory
// (torch 2.13, distributed/fsdp: _flat_param.py, _runtime_utils.py, _init_utils.py).
//
//     wrapped    a unit whole ──► sent, if states are ──► flat ──► shard; accelerate: shard ──► fp32
//     forward    shard cast ──► gathered ──► layer ──► free; the model's own stays to the end of the backward pass
//     backward   gathered ──► layer's backward ──► gradients joined ──► free ──► cast, reduced, cast
//     update     on what of each parameter is in the shard, or on the shard
//
// Modules see views into what is gathered. Gradients of a unit's parameters wait until all are there.
#pragma once

#include <vector>

#include "layout/flat_layout.h"
#include "recipe/recipe.h"

namespace peakmem {

/// FullyShardedDataParallel around each layer and the model; the tape's parameters become what of this rank's shards
/// the optimizer sees.
class FlatShard : public Hooks {
 public:
  /// Before the model is built, whose parameters are then made without memory.
  FlatShard(Tape& tape, const Recipe& recipe);
  ~FlatShard() override { tape_.hooks = nullptr; }
  FlatShard(const FlatShard&) = delete;
  FlatShard& operator=(const FlatShard&) = delete;

  /// Each layer, then the model.
  void shard();

  /// Whether the next backward pass reduces; else gradients stay whole until one does (no_sync).
  void synchronize(bool reduces) { reduces_ = reduces; }

  /// Whether a shard's gradient outlives zero_grad(), up to the next step's forward pass.
  bool keeps_gradients() const { return flat_.keeps_parameters; }
  /// What that forward pass begins with (_reset_flat_param_grad_info_if_needed).
  void drop_gradients();

  /// clip_grad_norm_ of the wrapped model; returns the norm.
  Tensor clip_gradients();

  void before_forward(int32_t unit) override;
  void after_forward(int32_t unit) override;
  void before_backward(int32_t unit) override;
  void after_backward(int32_t unit) override;

 private:
  /// What of a unit's shard the optimizer sees, and of which of the unit's parameters that is.
  struct Piece {
    Parameter seen;
    size_t whole;
  };

  /// A unit: a layer, or all that is in none. Tensors without memory stand for storages that are resized.
  struct Group {
    std::vector<Parameter> wholes;
    std::vector<Piece> pieces;
    FlatLayout layout;
    int32_t scope = 0;
    DType made = DType::kFloat32;  // what parameters come in
    DType kept = DType::kFloat32;  // what shards are kept in
    Tensor loaded;                 // a shard that was made fp32, which its views still hold
    Tensor shard;
    Tensor cast;   // a shard as modules' dtype wants it (_mp_shard), where that is another
    Tensor whole;  // _full_param_padded
    bool is_whole = false;
    Tensor accumulated;  // gradients of micro-batches that did not reduce
    Tensor gradient;     // of the shard
  };

  Group& group_of(int32_t unit) { return groups_[static_cast<size_t>(unit)]; }
  DType computed(const Group& group) const;
  std::vector<Tensor> move(const Group& group);
  void wrap(Group& group);
  void upcast(Group& group);
  void add_pieces(Group& group);
  void list_pieces(const std::vector<Parameter>& all);
  void prepare(Group& group);
  void prepare_all();
  void unshard(Group& group);
  void reshard(Group& group, bool frees);
  void prefetch(int32_t unit, Prefetch when);
  Tensor join(Group& group);
  void view_accumulated(Group& group);
  void reduce(Group& group);
  void hand_out(Group& group, const Tensor& reduced);
  Tensor make(const Group& group, int64_t elements, DType dtype, const char* made_by,
              Category category = Category::kTemporaries, Stream stream = Stream::kMain);
  Tensor make_empty(const Group& group, int64_t elements, DType dtype, const char* made_by, Stream stream);

  Tape& tape_;
  const Recipe& recipe_;
  const Sharding& sharding_;
  const FlatSharding& flat_;
  std::vector<Tensor> unmade_;  // parameters as they were made, without memory: it never goes
  std::vector<Group> groups_;   // by unit
  std::vector<int32_t> order_;  // units as their forward passes ended
  bool reduces_ = true;
  bool is_prepared_ = false;
  Tensor zero_;  // clip_grad_norm_'s, from its first call on
};

}  // namespace peakmem
