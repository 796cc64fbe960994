// Running an optimizer's row on a tape.
#pragma once

#include <array>

#include "recipe/optimizers.h"

namespace peakmem {

/// An optimizer with its state.
class OptimizerRun {
 public:
  /// `kept`: for each of the tape's parameters; may be empty where all are treated as is common.
  OptimizerRun(Tape& tape, const Optimizer& optimizer, OptimizerImpl impl, std::vector<Kept> kept);
  /// optimizer.step(); the first one makes the state.
  void step();
  /// The segment from which on the first step did what each later one does; -1 if it makes state on the way.
  int32_t steady_segment() const { return steady_segment_; }

 private:
  using Names = std::array<std::vector<Tensor>, 8>;

  void make_state(Made when);
  void make_state_of(size_t i, Made when, std::span<const State> rows);
  void run_loop();
  std::vector<std::vector<size_t>> foreach_groups(bool together) const;
  void run_foreach(bool together);
  void run_line(const Temporary& line, size_t i, Names& names);
  void bind_all(const Temporary& line, const std::vector<size_t>& group, Names& names);
  Tensor make(const Parameter& parameter, const Temporary& line) const;
  void keep(size_t i, const State& row);
  bool concerns(const State& row, size_t i) const;
  bool updates(size_t i) const;

  Tape& tape_;
  const Optimizer& optimizer_;
  OptimizerImpl impl_;
  const Update& update_;
  std::vector<Kept> kept_;  // by parameter
  std::vector<Tensor> state_;
  std::vector<std::string_view> codes_;  // those that were made
  bool first_ = true;
  int32_t steady_segment_ = -1;
};

/// torch.nn.utils.clip_grad_norm_, foreach; `sharded`: the gradients are DTensors.
Tensor clip_grad_norm(Tape& tape, bool sharded);

}  // namespace peakmem
