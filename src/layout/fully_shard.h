// FSDP2: what torch.distributed.fsdp.fully_shard does to one rank's memory
// (torch 2.13, distributed/fsdp/_fully_shard: _fsdp_param_group.py, _fsdp_collectives.py).
//
//     forward   gather ──► copy out ──► layer ──► free      the gathered buffer lives to the next unit's copy-out
//     backward  copy out ──► gather the unit before ──► layer's backward ──► free ──► reduce-scatter
//
// A parameter is cut along its first dimension, padded to as many rows on every rank; this is rank 0, whose shard is
// as large as any.
#pragma once

#include <vector>

#include "recipe/recipe.h"

namespace peakmem {

/// fully_shard on each layer (of both stacks, where there are two) and on the model; the tape's parameters become this
/// rank's shards. Over one rank, as copies that share nothing, a "shard" is the whole, which is copied rather than
/// gathered.
class FullyShard : public Hooks {
 public:
  /// Before the model is built, whose parameters are then made without memory, in the dtype that modules see: what has
  /// memory is how they are kept, all of them where the recipe builds on the device.
  FullyShard(Tape& tape, const Recipe& recipe);
  ~FullyShard() override { tape_.hooks = nullptr; }
  FullyShard(const FullyShard&) = delete;
  FullyShard& operator=(const FullyShard&) = delete;

  /// Each layer, then the model.
  void shard();

  /// The unit's parameters stay whole after its forward pass.
  void keep_whole(int32_t unit) { group_of(unit).reshards = false; }
  /// Of a DTensor's gradient that lies otherwise among other ranks than the parameter, what is made before it is
  /// reduced: a sum over them, or this rank's part of so many.
  struct Redistribution {
    bool sums = false;
    int64_t parts = 1;
  };
  void redistribute(const Parameter& shard, const Redistribution& redistribution);

  /// Whether the next backward pass reduces; else gradients stay whole until one does (set_requires_gradient_sync).
  void synchronize(bool reduces) { reduces_ = reduces; }
  /// Whether parameters are let go behind a backward pass that does not reduce (set_reshard_after_backward).
  void reshard_after_backward(bool reshards) { reshards_after_backward_ = reshards; }
  /// What a pipeline's schedule does behind its last backward pass: units [first, last), in the model's order, let go
  /// of their parameters and reduce what was gathered.
  void reduce_all(int32_t first, int32_t last);
  /// unshard(async_op=True) of units [first, last), and the wait for it.
  void unshard(int32_t first, int32_t last);
  void wait_unsharded(int32_t first, int32_t last);

  void made(const Tensor& parameter) override;
  void before_forward(int32_t unit) override;
  void after_forward(int32_t unit) override;
  void before_backward(int32_t unit) override;
  void after_backward(int32_t unit) override;

 private:
  /// A parameter as modules see it, and this rank's part of it.
  struct Piece {
    Parameter whole;
    Parameter shard;
    Redistribution redistribution;
    Tensor accumulated;  // its gradient in the dtype it is reduced in, of passes that did not reduce
  };

  /// The parameters of a layer, or of all that is in none.
  struct Group {
    std::vector<Piece> pieces;
    int32_t scope = 0;
    bool is_whole = false;
    bool reshards = true;     // after its forward pass
    bool is_running = false;  // its forward pass
    bool is_forced = false;   // its forward pass ended with the model's, for a part of it did not run
    bool is_reached = true;   // the backward pass comes back to what the unit was given
    bool is_finished = true;  // nothing is left to do for it in this backward pass
    Tensor gathered;          // an all-gather's result that is not copied out yet
    Tensor reduced;           // HSDP: what is all-reduced
  };

  Group& group_of(int32_t unit);
  int32_t unit_of(Outer part) const;
  bool is_named(const Parameter& whole) const;
  const Node* last_of_optimizer(const std::vector<Parameter>& wholes) const;
  std::vector<int32_t> in_order_of_wrapping() const;
  void move_to_device(int32_t unit, const std::vector<Parameter>& wholes);
  void end_forward(int32_t unit);
  void cut(int32_t unit, const std::vector<Parameter>& wholes, std::vector<Tensor>& shards);
  Tensor cut(const Parameter& whole, DType dtype) const;
  void add(const Parameter& whole, const Tensor& shard);
  void gather(Group& group);
  Tensor copy_out(Group& group);
  void copy(Group& group);
  void reshard(Group& group);
  void finish(int32_t unit);
  void finish_all();
  static Tensor& gathered_gradient(const Piece& piece);
  void accumulate(Group& group) const;
  void cast_gradients(Group& group);
  void redistribute(Group& group);
  void reduce(Group& group);
  void run_split(const Group& group);
  void run_chunk_cat(const Group& group, const std::vector<const Piece*>& reduced, DType from, DType to);
  void hand_out(const Tensor& reduced, const Piece& piece);
  Tensor make(const Group& group, Expr elements, DType dtype, const char* made_by, Stream stream) const;
  Expr shards() const { return sharding_.shards; }

  Tape& tape_;
  const Recipe& recipe_;
  const Sharding& sharding_;
  std::vector<DType> kept_;     // what each parameter is kept in, in the order they were made
  std::vector<Tensor> built_;   // each whole, until it is cut; empty where the model comes without memory
  std::vector<Group> groups_;   // by unit
  std::vector<int32_t> order_;  // units as their forward passes ended
  int32_t first_node_ = 0;      // of this forward pass
  bool reduces_ = true;
  bool reshards_after_backward_ = true;
  const Node* last_of_optimizer_ = nullptr;  // by its accumulator
  Tensor copied_out_;  // the last forward all-gather's result, kept so that the next may overlap its copy-out
  Tensor scattered_;   // the last reduce-scatter's input, kept to the next one
};

}  // namespace peakmem
