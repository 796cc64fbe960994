// One rank of a Megatron-Core run on a tape: its chunks of the model, their buffers and optimizers.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "megatron/gpt.h"
#include "megatron/optimizer.h"

namespace peakmem::mcore {

/// What a stage received of the one before it: a leaf whose gradient goes back there, and which lives as long as this.
class Received {
 public:
  explicit Received(Tensor value) : value_(std::move(value)) {}
  ~Received() { value_->node->gradient.reset(); }
  Received(const Received&) = delete;
  Received& operator=(const Received&) = delete;
  const Tensor& value() const { return value_; }
  const Tensor& gradient() const { return value_->node->gradient; }

 private:
  Tensor value_;
};
using ReceivedTensor = std::shared_ptr<Received>;

/// A micro-batch's forward pass: what goes on, or the loss, whose graph ends in what was received and holds it; and how
/// many tokens counted.
struct ForwardStep {
  Tensor output;
  ReceivedTensor leaf;
  Tensor tokens;
};

/// The rank: what its process holds from the first line to the last.
class Rank {
 public:
  Rank(Tape& tape, const Job& job);
  Rank(const Rank&) = delete;
  Rank& operator=(const Rank&) = delete;

  const Job& job() const { return job_; }
  Tape& tape() const { return tape_; }
  bool is_first() const { return place_.stage == 0; }
  bool is_last() const { return place_.stage == job_.degrees.pp - 1; }
  int64_t stage() const { return place_.stage; }
  bool embeds(size_t chunk) const { return chunks_[chunk].embeds; }
  bool heads(size_t chunk) const { return chunks_[chunk].heads; }
  size_t chunks() const { return chunks_.size(); }

  /// What happens from now on is of this micro-batch, forward or backward.
  void begin(int32_t step, int64_t micro, const char* name);
  /// DistributedDataParallel around the chunks and the optimizer over them.
  void wrap();
  /// A chunk's forward_step (pipeline_parallel/schedules.py); `input` is what it received, null for the first chunk.
  ForwardStep forward(size_t chunk, const ReceivedTensor& input, std::vector<Tensor>& losses);
  /// backward_step: the loss is scaled first.
  void backward(Tensor output, const Tensor& output_gradient);
  /// What the stage before or behind sends: [s, b, h].
  Tensor receive() const;
  /// finalize_model_grads.
  void finalize();
  void zero_grad();
  void step();
  /// What Megatron-LM's training loop makes of a step's losses.
  void log(std::vector<Tensor> losses);

 private:
  void to_device();
  Tensor loss(const Tensor& output, const Tensor& mask, std::vector<Tensor>& reported, Tensor& tokens);
  void make_batch(size_t chunk, ChunkInput& given, Tensor& loss_mask) const;

  Tape& tape_;
  const Job& job_;
  Place place_;
  std::pair<int64_t, std::string_view> running_ = {-1, ""};
  GlobalBuffer buffer_;
  TeState te_;
  WeightGradients weight_gradients_;
  Tensor start_time_;
  RouterState router_;
  std::vector<Trait> traits_;
  Builder builder_;
  GradientHooks hooks_;
  std::vector<Chunk> chunks_;
  std::vector<size_t> first_parameters_;  // of each chunk, and the number of all
  std::deque<GptModel> models_;
  std::array<Tensor, 2> logged_;          // of the last step: its loss, and the sum of those since the last report
  std::vector<ReceivedTensor> inputs_;    // as each chunk was told, until it is told the next
  std::vector<ReceivedTensor> deferred_;  // in which the graphs of inputs end whose products wait
  std::deque<GradientBuffers> gradients_;
  std::deque<Optimizer> optimizers_;
};

}  // namespace peakmem::mcore
