#include "train/data_parallel.h"

namespace peakmem {

DataParallel::DataParallel(Tape& tape, const DataParallelism& ddp) : tape_(tape), views_(ddp.gradient_as_bucket_view) {
  const Category category = std::exchange(tape.category, Category::kGradients);
  for (const Parameter& parameter : tape.parameters) {
    const int32_t scope = std::exchange(tape.scope, parameter.scope);
    const int32_t turn = std::exchange(tape.turn, parameter.turn);
    buckets_.push_back(tape.make(contiguous(parameter.value.shape()), parameter.value.dtype(), "ddp_bucket"));
    tape.turn = turn;
    tape.scope = scope;
  }
  tape.category = category;
  tape.hooks = this;
}

void DataParallel::accumulated(Node& leaf) {
  if (!views_) return;
  for (size_t i = 0; i < buckets_.size(); ++i)
    if (tape_.parameters[i].accumulator == &leaf) leaf.gradient = tape_.look(buckets_[i], buckets_[i].shape(), true);
}

}  // namespace peakmem
