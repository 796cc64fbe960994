// DistributedDataParallel: the buckets its reducer keeps beside the gradients
// (torch 2.13, nn/parallel/distributed.py and csrc/distributed/c10d/reducer.cpp).
//
//     built       one bucket for all gradients of a dtype
//     backward    a gradient that has arrived is copied into its bucket; with views it looks into it from then on
//     forward     after the first reduction, once: new buckets of --bucket-mb in the order gradients arrived
//
// Where it looks for unused parameters (find_unused_parameters) buckets are those of --bucket-mb from the start, and
// the model's outputs are copied.
#pragma once

#include <array>
#include <map>
#include <utility>
#include <vector>

#include "layout/broadcast.h"
#include "model/model.h"
#include "recipe/recipe.h"

namespace peakmem {

/// The wrapper's memory: buckets as large as all trained parameters, from construction on. What DDP sends while it is
/// built (the whole model, 250 MiB at a time) is there where every layer is traced: it is gone before the first step,
/// and leaves segments. What it sends at the start of a forward pass (buffers, bucket numbers) is left out.
class DataParallel : public Hooks {
 public:
  /// `unrolled`: every layer is traced, in numbers.
  DataParallel(Tape& tape, const DataParallelism& ddp, bool unrolled);
  ~DataParallel() override { tape_.hooks = nullptr; }
  DataParallel(const DataParallel&) = delete;
  DataParallel& operator=(const DataParallel&) = delete;

  /// Whether the next backward pass reduces; between no_sync() gradients are only gathered.
  void synchronize(bool reduces) { reduces_ = reduces; }
  void accumulated(Node& leaf) override;
  /// What its forward pass returns of what the model's did.
  ModelOutput passed(ModelOutput output) const;
  /// New buckets for the old, if gradients have been reduced and it was not done yet; at the start of a forward pass.
  /// What happens afterwards begins a new segment, see once().
  void rebuild_buckets();
  /// The segment that follows the making of new buckets, which no later step does again; -1 before that.
  int32_t once() const { return once_; }

 private:
  using Group = std::vector<size_t>;  // of the tape's parameters
  /// Bytes at which a first and any other bucket is full.
  using Limits = std::array<int64_t, 2>;

  Expr bytes_of(size_t parameter) const;
  bool is_countable(const Group& order) const;
  std::vector<Group> assign(const Group& order, bool into_parts) const;
  void send(const Messages& sent);
  void agree_on(const std::vector<Group>& groups);
  void make_bucket(const Group& group);
  void make_map();

  Tape& tape_;
  bool views_;
  bool finds_unused_;
  bool reduces_ = true;
  Limits limits_;
  int32_t once_ = -1;
  std::vector<Tensor> buckets_;
  Tensor map_;                             // which parameters were used
  std::vector<Tensor> bucket_of_;          // by parameter
  std::map<const Node*, size_t> indices_;  // of parameters, by accumulator
  Group arrived_;                          // as the first reduced gradients did
};

}  // namespace peakmem
