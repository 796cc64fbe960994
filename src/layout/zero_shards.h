// ZeRO 3: what DeepSpeed's DeepSpeedZeroOptimizer_Stage3 does to one rank's memory (0.19.8, runtime/zero/stage3.py).
//
//     load       each parameter whole for a moment ──► this rank's part
//     started    parts ──► one flat tensor ──► fp32 copies by group; bucket; gradients of the parts, for good
//     forward    a module's parameters gathered, by the coordinator
//     backward   the same; gradient ──► bucket ──► reduced ──► gradients of the parts
//     update     all cut; a group's gradients ──► one fp32 tensor ──► optimizer; small parameters gathered
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "layout/zero_coordinator.h"
#include "layout/zero_optimizer.h"

namespace peakmem {

/// That optimizer's wrapper, of a model whose parameters were made without memory.
class ZeroShards : public ZeroOptimizer {
 public:
  ZeroShards(Tape& tape, const Recipe& recipe);
  void before_forward(int32_t unit) override;
  void after_forward(int32_t unit) override;
  void before_module(int32_t scope) override;
  void after_module(int32_t scope) override;
  void before_node(int32_t index) override;
  void before_use(const Tensor& parameter) override;
  void accumulated(Node& leaf) override;
  void finish_backward() override;

 private:
  /// A module's call that is running.
  struct Call {
    int32_t first;    // node from its beginning on
    bool has_graph;   // before it: its backward pass comes to an end
    bool is_counted;  // not one that a checkpoint's second run no longer needs
  };
  /// Where the backward pass comes to a module's end, or past its beginning.
  struct Mark {
    int32_t module;
    int32_t node;   // of those from here on all have run
    int32_t first;  // of an end: the module's first node; -1 of a beginning
  };

  void update() override;
  void flatten();
  void make_masters();
  void make_buffers();
  int32_t module_of(int32_t scope) const;
  Pass pass() const { return tape_.runs_again ? Pass::kAgain : Pass::kForward; }
  DType dtype_of_parts() const { return tape_.parameters.front().value.dtype(); }
  bool notes_calls() const;
  void notice_second_run();
  bool asks_for_gradient(int32_t module) const;
  void begin(int32_t module);
  void end(int32_t module);
  void reach(const Mark& mark, int32_t index);
  int64_t own(const CutParameter& cut) const;
  void reduce();
  void join(const std::vector<size_t>& taken);
  void send_to_host(const CutParameter& cut);
  void update_groups();
  void update(size_t index);
  Stream reduction_stream() const { return zero_.overlaps ? Stream::kAllReduce : Stream::kMain; }
  CutParameter& cut(const ZeroMember& member) { return coordinator_->parameters()[places_[member.parameter]]; }

  std::optional<ZeroCoordinator> coordinator_;
  std::vector<size_t> places_;             // of trained parameters, among all
  std::map<const Node*, size_t> by_leaf_;  // the same, by accumulator
  Tensor tracker_;                         // of what is no number
  Tensor bucket_;
  Tensor gradients_;           // of the parts
  std::vector<size_t> taken_;  // into the bucket, or one that is larger than it
  int64_t taken_elements_ = 0;
  std::vector<Tensor> reported_;  // loss and norm of the last step, which the trainer names
  std::vector<Tensor> norms_;     // of gradients that went to the host
  std::vector<Call> calls_;
  std::vector<Mark> marks_;
  std::vector<int32_t> open_;            // modules whose backward pass has begun
  int32_t first_node_ = 0;               // of this forward pass
  bool in_second_run_ = false;           // of a checkpoint
  int32_t asking_ = ZeroModules::kNone;  // the embedding whose output wants a gradient, see asks_for_gradient
};

}  // namespace peakmem
