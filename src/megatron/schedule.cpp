#include "megatron/schedule.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "megatron/checkpoint.h"
#include "megatron/interleaved.h"
#include "trace/ops.h"

namespace peakmem::mcore {
namespace {

/// What is counted of all micro-batches: torch.zeros([], dtype=torch.int).
Tensor total_tokens(Tape& tape) { return tape.make(Shape{}, DType::kInt32, "zeros"); }

void no_pipelining(Rank& rank, int32_t step, std::vector<Tensor>& losses) {
  const Tensor total = total_tokens(rank.tape());
  ForwardStep forward;
  const int64_t count = rank.job().training.micro_batches;
  for (int64_t i = 0; i < count; ++i) {
    rank.begin(step, i, "forward");
    forward = rank.forward(0, nullptr, losses);
    rank.begin(step, i, "backward");
    rank.backward(forward.output, {});
  }
  rank.finalize();
}

void interleaved(Rank& rank, int32_t step, std::vector<Tensor>& losses) {
  const Tensor total = total_tokens(rank.tape());
  run_interleaved(rank, step, losses);
  rank.finalize();
}

/// Names of forward_backward_pipelining_without_interleaving.
class OneForwardOneBackward {
 public:
  OneForwardOneBackward(Rank& rank, int32_t step, std::vector<Tensor>& losses)
      : rank_(rank), step_(step), losses_(losses), total_(total_tokens(rank.tape())) {}

  void run() {
    const int64_t count = rank_.job().training.micro_batches;
    const int64_t warmup = std::min(rank_.job().degrees.pp - rank_.stage() - 1, count);
    for (int64_t i = 0; i < warmup; ++i) {
      input_ = receive_forward();
      forward(i);
      keep();
    }
    if (count > warmup) input_ = receive_forward();
    for (int64_t i = 0; i < count - warmup; ++i) {
      forward(warmup + i);
      gradient_ = receive_backward();
      keep();
      take();
      run_backward(i);
      input_ = i + 1 == count - warmup ? nullptr : receive_forward();
    }
    for (int64_t i = 0; i < warmup; ++i) {
      take();
      gradient_ = receive_backward();
      run_backward(count - warmup + i);
    }
    rank_.finalize();
  }

 private:
  ReceivedTensor receive_forward() const {
    if (rank_.is_first()) return nullptr;
    return std::make_shared<Received>(rank_.tape().leaf(rank_.receive()));
  }
  Tensor receive_backward() const { return rank_.is_last() ? Tensor() : rank_.receive(); }
  void forward(int64_t micro) {
    rank_.begin(step_, micro, "forward");
    forward_ = rank_.forward(0, input_, losses_);
  }
  /// Keeps what went in and out, and lets the output's memory go: it was sent.
  void keep() {
    inputs_.push_back(input_);
    outputs_.push_back({forward_.output, forward_.leaf, {}});
    set_data(forward_.output, rank_.tape().make({1}, forward_.output.dtype(), "empty"));
  }
  void take() {
    input_ = std::move(inputs_.front());
    inputs_.pop_front();
    const Tensor tokens = forward_.tokens;
    forward_ = std::move(outputs_.front());
    forward_.tokens = tokens;
    outputs_.pop_front();
  }
  void run_backward(int64_t micro) {
    rank_.begin(step_, micro, "backward");
    rank_.backward(forward_.output, gradient_);
    input_gradient_ = input_ ? input_->gradient() : Tensor();
  }

  Rank& rank_;
  int32_t step_;
  std::vector<Tensor>& losses_;
  Tensor total_;
  std::deque<ReceivedTensor> inputs_;
  std::deque<ForwardStep> outputs_;
  ReceivedTensor input_;
  ForwardStep forward_;
  Tensor gradient_;
  Tensor input_gradient_;
};

}  // namespace

std::vector<Tensor> forward_backward(Rank& rank, int32_t step) {
  std::vector<Tensor> losses;
  const Degrees& d = rank.job().degrees;
  if (d.pp > 1) rank.begin(step, 0, "forward");
  if (d.pp == 1)
    no_pipelining(rank, step, losses);
  else if (d.vpp > 1)
    interleaved(rank, step, losses);
  else
    OneForwardOneBackward(rank, step, losses).run();
  return losses;
}

}  // namespace peakmem::mcore
