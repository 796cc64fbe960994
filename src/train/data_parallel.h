// DistributedDataParallel: the buckets its reducer keeps beside the gradients
// (torch 2.13, csrc/distributed/c10d/reducer.cpp).
#pragma once

#include <vector>

#include "train/recipe.h"

namespace peakmem {

/// The wrapper's memory: buckets as large as all gradients, from construction on. Their borders (25 MiB each) change no
/// sum, so here a bucket holds one parameter. What DDP broadcasts at the start of a forward pass (the model's buffers)
/// is left out.
class DataParallel : public Hooks {
 public:
  DataParallel(Tape& tape, const DataParallelism& ddp);
  ~DataParallel() override { tape_.hooks = nullptr; }
  DataParallel(const DataParallel&) = delete;
  DataParallel& operator=(const DataParallel&) = delete;

  /// The gradient is copied into its bucket and, if asked for, looks into it from then on.
  void accumulated(Node& leaf) override;

 private:
  Tape& tape_;
  bool views_;
  std::vector<Tensor> buckets_;  // by parameter
};

}  // namespace peakmem
