#include "layout/data_parallel.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "trace/engine.h"
#include "trace/ops.h"
#include "trace/workspace.h"

namespace peakmem {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

/// What is sent of these categories, one after another.
Messages messages(const Program& program, std::initializer_list<Category> categories) {
  std::vector<std::pair<DType, int64_t>> tensors;
  for (const Category category : categories)
    for (const Storage& storage : program.storages)
      if (storage.category == category) tensors.emplace_back(storage.dtype, storage.bytes.number());
  return messages_of(tensors);
}

/// A bucket that takes more gradients of its dtype.
struct OpenBucket {
  DType dtype;
  std::vector<size_t> group;
  int64_t bytes = 0;
  size_t limit = 0;  // which of the two
};

OpenBucket& open_bucket(std::vector<OpenBucket>& open, DType dtype) {
  for (OpenBucket& bucket : open)
    if (bucket.dtype == dtype) return bucket;
  return open.emplace_back(OpenBucket{dtype});
}

}  // namespace

// A bucket size that is asked for is that of the first bucket too.
DataParallel::DataParallel(Tape& tape, const DataParallelism& ddp, bool unrolled)
    : tape_(tape),
      views_(ddp.gradient_as_bucket_view),
      finds_unused_(ddp.finds_unused),
      limits_(ddp.bucket_bytes == 0 ? Limits{kMiB, 25 * kMiB} : Limits{ddp.bucket_bytes, ddp.bucket_bytes}),
      bucket_of_(tape.parameters.size()) {
  for (size_t i = 0; i < tape.parameters.size(); ++i) indices_[tape.parameters[i].accumulator] = i;
  Group all(tape.parameters.size());
  std::iota(all.begin(), all.end(), size_t{0});
  if (unrolled) send(messages(tape.program, {Category::kWeights, Category::kBuffers}));
  for (const Group& group : assign(all, finds_unused_)) make_bucket(group);
  if (finds_unused_) make_map();
  tape.hooks = this;
}

/// Of a parameter in all the layers that its own stands for.
Expr DataParallel::bytes_of(size_t parameter) const {
  const Parameter& of = tape_.parameters[parameter];
  return tape_.program.turns[static_cast<size_t>(of.turn)].count * of.value.shape().elements() *
         Expr(size_of(of.value.dtype()));
}

/// Whether buckets can be told apart: sizes are numbers and every layer is traced.
bool DataParallel::is_countable(const Group& order) const {
  const std::vector<Turn>& turns = tape_.program.turns;
  const bool unrolled =
      std::all_of(turns.begin(), turns.end(), [](const Turn& turn) { return identical(turn.count, Expr(1)); });
  return unrolled && std::all_of(order.begin(), order.end(), [this](size_t i) { return bytes_of(i).is_number(); });
}

/// compute_bucket_assignment_by_size: a bucket is closed by the gradient that reaches its limit, if there is one.
std::vector<DataParallel::Group> DataParallel::assign(const Group& order, bool into_parts) const {
  const Limits limits = into_parts && is_countable(order) ? limits_ : Limits{kUnlimited, kUnlimited};
  std::vector<Group> groups;
  std::vector<OpenBucket> open;
  for (const size_t i : order) {
    OpenBucket& bucket = open_bucket(open, tape_.parameters[i].value.dtype());
    bucket.group.push_back(i);
    const int64_t limit = limits[bucket.limit];
    if (limit == kUnlimited) continue;
    bucket.bytes += bytes_of(i).number();
    if (bucket.bytes < limit) continue;
    groups.push_back(std::exchange(bucket.group, {}));
    bucket.bytes = 0;
    bucket.limit = 1;
  }
  for (OpenBucket& bucket : open)
    if (!bucket.group.empty()) groups.push_back(std::move(bucket.group));
  return groups;
}

/// _sync_module_states
void DataParallel::send(const Messages& sent) {
  const Scope scope(tape_, "DistributedDataParallel");
  broadcast(tape_, sent);
}

/// Reducer::sync_bucket_indices (reducer.cpp): which parameters are in which bucket and how many buckets there are,
/// then how many parameters each has.
void DataParallel::agree_on(const std::vector<Group>& groups) {
  constexpr int64_t kInt = 4;
  if (!is_countable(arrived_)) return;
  const Scope scope(tape_, "DistributedDataParallel");
  const Tensor indices = workspace(tape_, static_cast<int64_t>(arrived_.size() + 1) * kInt, "sync_bucket_indices");
  const Tensor sizes = workspace(tape_, static_cast<int64_t>(groups.size()) * kInt, "sync_bucket_indices");
}

/// The bucket's memory; gradients that look into another one move.
void DataParallel::make_bucket(const Group& group) {
  const Scope scope(tape_, "DistributedDataParallel");
  const Category category = std::exchange(tape_.category, Category::kGradients);
  const DType dtype = tape_.parameters[group[0]].value.dtype();
  Expr bytes = 0;
  for (const size_t i : group) bytes += bytes_of(i);
  const Tensor bucket = tape_.make({exact_div(bytes, Expr(size_of(dtype)))}, dtype, "ddp_bucket");
  tape_.category = category;
  for (const size_t i : group) {
    bucket_of_[i] = bucket;
    Tensor& gradient = gradient_of(tape_.parameters[i]);
    if (views_ && gradient) gradient = tape_.look(bucket, gradient.shape(), true);
  }
  buckets_.push_back(bucket);
}

/// local_used_map_dev_: a number for each parameter.
void DataParallel::make_map() {
  const Scope scope(tape_, "DistributedDataParallel");
  const Category category = std::exchange(tape_.category, Category::kBuffers);
  Expr parameters = 0;
  for (const Parameter& parameter : tape_.parameters)
    parameters += tape_.program.turns[static_cast<size_t>(parameter.turn)].count;
  map_ = tape_.make({parameters}, DType::kInt32, "ddp_used_map");
  tape_.category = category;
}

void DataParallel::accumulated(Node& leaf) {
  const auto found = indices_.find(&leaf);
  if (!reduces_ || found == indices_.end()) return;
  const size_t i = found->second;
  if (once_ < 0 && !finds_unused_) arrived_.push_back(i);
  if (views_ && leaf.gradient->storage != bucket_of_[i]->storage)
    leaf.gradient = tape_.look(bucket_of_[i], leaf.gradient.shape(), true);
}

/// _DDPSink copies what it passes on.
ModelOutput DataParallel::passed(ModelOutput output) const {
  if (!finds_unused_) return output;
  const ModelOutput given = std::move(output);
  const auto copy = [](const Tensor& tensor) { return tensor ? clone(tensor, tensor.shape()) : Tensor(); };
  return {copy(given.loss), copy(given.logits), copy(given.encoder_hidden_states),
          given.others,     given.lists_others, copy(given.more_logits)};
}

void DataParallel::rebuild_buckets() {
  if (once_ >= 0 || finds_unused_ || arrived_.empty()) return;
  const std::vector<Group> groups = assign(arrived_, true);
  tape_.begin_segment();  // of what no later step does
  agree_on(groups);
  buckets_.clear();  // gradients may still look into them
  for (const Group& group : groups)
    for (const size_t i : group) bucket_of_[i].reset();
  for (const Group& group : groups) make_bucket(group);
  once_ = tape_.begin_segment();
}

}  // namespace peakmem
