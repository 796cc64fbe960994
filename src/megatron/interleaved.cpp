#include "megatron/interleaved.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "megatron/checkpoint.h"

namespace peakmem::mcore {
namespace {

/// What a stage may be sent while it works, and for which chunk.
struct Arrival {
  bool comes = false;
  size_t chunk = 0;
};

/// Names are the original's, alive for as long.
class Interleaved {
 public:
  Interleaved(Rank& rank, int32_t step, std::vector<Tensor>& losses)
      : rank_(rank),
        step_(step),
        losses_(losses),
        chunks_(rank.job().degrees.vpp),
        stages_(rank.job().degrees.pp),
        overlaps_(rank.job().training.overlaps_sends),
        table_(schedule_table(rank.job().training.micro_batches, chunks_, stages_)),
        input_tensors_(rank.chunks()),
        output_tensors_(rank.chunks()),
        output_tensor_grads_(rank.chunks()) {}

  void run() {
    const auto all = static_cast<int64_t>(table_.size());
    const int64_t warmup = warmup_turns(rank_.job(), rank_.stage());
    input_tensors_[0].push_back(rank_.is_first() ? nullptr : received());
    for (int64_t k = 0; k < warmup; ++k) warm_up(k, k == warmup - 1 && warmup < all);
    for (int64_t k = 0; k < all - warmup; ++k) overlaps_ ? steady_overlapped(k, warmup) : steady(k, warmup);
    let_go(output_tensor_);
    if (warmup == all) output_tensor_grads_.back().push_back(rank_.is_last() ? Tensor() : rank_.receive());
    for (int64_t k = all - warmup; k < all; ++k) cool_down(k, k == all - 1);
  }

 private:
  const Turn& turn(int64_t k) const { return table_[static_cast<size_t>(k) % table_.size()]; }
  size_t chunk_of(int64_t k, bool forward) const {
    const int64_t chunk = turn(k).chunk;
    return static_cast<size_t>(forward ? chunk : chunks_ - chunk - 1);
  }
  ReceivedTensor received() const { return std::make_shared<Received>(rank_.tape().leaf(rank_.receive())); }

  // recv_tensor_from_previous_stage.
  Arrival arrival(int64_t k, bool forward) const {
    if (!(forward ? rank_.is_first() : rank_.is_last())) return {true, chunk_of(k + 1, forward)};
    if (k < stages_ - 1) return {};
    const size_t chunk = chunk_of(k - (stages_ - 1), forward);
    const size_t last = forward ? static_cast<size_t>(chunks_ - 1) : 0;
    if (chunk == last) return {};
    return {true, forward ? chunk + 1 : chunk - 1};
  }

  /// The output's memory goes when it was sent.
  void let_go(const Tensor& output) const {
    if (output) set_data(output, rank_.tape().make({1}, output.dtype(), "empty"));
  }

  Tensor forward(int64_t k) {
    const size_t chunk = chunk_of(k, true);
    rank_.begin(step_, turn(k).micro_batch, "forward");
    std::deque<ReceivedTensor>& inputs = input_tensors_[chunk];
    if (rank_.embeds(chunk) && inputs.size() == output_tensors_[chunk].size()) inputs.push_back(nullptr);
    const ReceivedTensor input = inputs[output_tensors_[chunk].size()];
    output_tensors_[chunk].push_back(rank_.forward(chunk, input, losses_));
    return rank_.heads(chunk) ? Tensor() : output_tensors_[chunk].back().output;
  }

  /// The gradient that goes to the stage before.
  Tensor backward(int64_t k) {
    const size_t chunk = chunk_of(k, false);
    rank_.begin(step_, turn(k).micro_batch, "backward");
    if (rank_.heads(chunk) && output_tensor_grads_[chunk].empty()) output_tensor_grads_[chunk].emplace_back();
    const ReceivedTensor input = take(input_tensors_[chunk]);
    const ForwardStep output = take(output_tensors_[chunk]);
    const Tensor gradient = take(output_tensor_grads_[chunk]);
    rank_.backward(output.output, gradient);
    return input ? input->gradient() : Tensor();
  }

  template <class T>
  static T take(std::deque<T>& from) {
    T first = std::move(from.front());
    from.pop_front();
    return first;
  }

  void warm_up(int64_t k, bool is_last) {
    const Arrival next = arrival(k, true);
    const bool comes = next.comes && k + 1 < static_cast<int64_t>(table_.size());
    output_tensor_ = forward(k);
    input_tensor_ = comes ? received() : nullptr;
    const bool expects = is_last && !rank_.is_last();
    if (!overlaps_ && is_last) {
      output_tensor_grad_ = expects ? rank_.receive() : Tensor();
      output_tensor_grads_.back().push_back(output_tensor_grad_);
    }
    if (comes) input_tensors_[next.chunk].push_back(input_tensor_);
    let_go(output_tensor_);
    if (overlaps_ && expects) output_tensor_grads_.back().push_back(rank_.receive());
  }

  void steady(int64_t k, int64_t warmup) {
    const int64_t forward_k = k + warmup;
    output_tensor_ = forward(forward_k);
    input_tensor_grad_ = backward(k);
    const Arrival input = arrival(forward_k, true);
    const Arrival gradient = arrival(k, false);
    const bool comes = input.comes && forward_k + 1 < static_cast<int64_t>(table_.size());
    ReceivedTensor arrived = comes ? received() : nullptr;
    Tensor gradient_arrived = gradient.comes ? rank_.receive() : Tensor();
    input_tensor_ = std::move(arrived);
    output_tensor_grad_ = std::move(gradient_arrived);
    let_go(output_tensor_);
    if (comes) input_tensors_[input.chunk].push_back(input_tensor_);
    if (gradient.comes) output_tensor_grads_[gradient.chunk].push_back(output_tensor_grad_);
  }

  // The last turn's output and gradient are named until this one is over.
  void steady_overlapped(int64_t k, int64_t warmup) {
    const int64_t forward_k = k + warmup;
    let_go(output_tensor_);
    Tensor output = forward(forward_k);
    const Arrival input = arrival(forward_k, true);
    if (input.comes && forward_k + 1 < static_cast<int64_t>(table_.size()))
      input_tensors_[input.chunk].push_back(received());
    Tensor gradient = backward(k);
    if (rank_.embeds(chunk_of(k, false))) gradient.reset();
    const Arrival next = arrival(k, false);
    if (next.comes) output_tensor_grads_[next.chunk].push_back(rank_.receive());
    output_tensor_ = std::move(output);
    input_tensor_grad_ = std::move(gradient);
  }

  void cool_down(int64_t k, bool is_last) {
    const Arrival next = arrival(k, false);
    const bool comes = next.comes && !is_last;
    input_tensor_grad_ = backward(k);
    output_tensor_grad_ = comes ? rank_.receive() : Tensor();
    if (comes) output_tensor_grads_[next.chunk].push_back(output_tensor_grad_);
  }

  Rank& rank_;
  int32_t step_;
  std::vector<Tensor>& losses_;
  int64_t chunks_;
  int64_t stages_;
  bool overlaps_;
  std::vector<Turn> table_;
  std::vector<std::deque<ReceivedTensor>> input_tensors_;
  std::vector<std::deque<ForwardStep>> output_tensors_;
  std::vector<std::deque<Tensor>> output_tensor_grads_;
  ReceivedTensor input_tensor_;
  Tensor output_tensor_;
  Tensor input_tensor_grad_;
  Tensor output_tensor_grad_;
};

}  // namespace

std::vector<Turn> schedule_table(int64_t micro_batches, int64_t chunks, int64_t group) {
  std::vector<Turn> table;
  for (int64_t first = 0; first < micro_batches; first += group)
    for (int64_t chunk = 0; chunk < chunks; ++chunk)
      for (int64_t i = first; i < std::min(first + group, micro_batches); ++i) table.push_back({i, chunk});
  return table;
}

int64_t warmup_turns(const Job& job, int64_t stage) {
  const Degrees& d = job.degrees;
  return std::min((d.pp - stage - 1) * 2 + (d.vpp - 1) * d.pp, job.training.micro_batches * d.vpp);
}

void run_interleaved(Rank& rank, int32_t step, std::vector<Tensor>& losses) { Interleaved(rank, step, losses).run(); }

}  // namespace peakmem::mcore
