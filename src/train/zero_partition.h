// ZeRO 1 and 2: what DeepSpeed's DeepSpeedZeroOptimizer does to one rank's memory
// (0.19.8, runtime/zero/stage_1_and_2.py).
//
//     started    weights ──► one flat tensor a group ──► fp32 copy of this rank's part
//     backward   gradient ──► bucket ──► reduced ──► gradients of this rank's part, as whole parameters
//     update     part's gradients ──► one fp32 tensor ──► optimizer, group by group
//
// Stage 1 reduces after the last micro-batch alone, stage 2 while each one's backward pass runs.
#pragma once

#include <map>
#include <vector>

#include "train/optimizer_step.h"
#include "train/recipe.h"
#include "train/zero_layout.h"

namespace peakmem {

/// The optimizer's wrapper, of a model whose layers are all traced, in numbers.
class ZeroPartition : public Hooks {
 public:
  /// Of a model that has been built: its trained parameters look into flat tensors from now on.
  ZeroPartition(Tape& tape, const Recipe& recipe);
  ~ZeroPartition() override { tape_.hooks = nullptr; }
  ZeroPartition(const ZeroPartition&) = delete;
  ZeroPartition& operator=(const ZeroPartition&) = delete;

  /// Whether the next backward pass is the last one of the step.
  void synchronize(bool is_last) { is_last_ = is_last; }
  /// Whether engine.step() follows before the loop lets its names go: accelerate's engine calls it in the backward pass
  /// (1.15, utils/deepspeed.py).
  bool steps() const { return is_last_; }
  void accumulated(Node& leaf) override;
  /// What engine.backward() does behind autograd's.
  void finish_backward();
  /// engine.step(), which makes the optimizer's state the first time and ends with no gradients.
  void step();

 private:
  /// Where a parameter is: its group and its place there.
  struct Place {
    size_t group;
    size_t member;
  };

  const ZeroMember& member(const Place& place) const { return groups_[place.group].members[place.member]; }
  Tensor& gradient(const Place& place);
  bool is_own(const Place& place) const;
  void flatten(ZeroGroup& group);
  void make_masters(const ZeroGroup& group);
  void make_buckets();
  void take(const Place& place);
  void reduce();
  void average(const std::vector<Place>& taken);
  void send(const std::vector<ZeroSlice>& pieces, int64_t elements);
  void keep(const Place& place);
  void make_room();
  void send_to_host(const Place& place);
  void finish_step_of_gradients();
  Tensor norm_of(int64_t elements);
  void take_norms(const ZeroGroup& group);
  void step(size_t group);
  Tensor make(int64_t elements, DType dtype, const char* made_by, Category category,
              Stream stream = Stream::kMain) const;
  Stream reduction_stream() const { return zero_.overlaps ? Stream::kAllReduce : Stream::kMain; }

  Tape& tape_;
  const Recipe& recipe_;
  const Zero& zero_;
  std::vector<ZeroGroup> groups_;
  std::map<const Node*, Place> places_;  // of parameters, by accumulator
  std::vector<Tensor> flat_;             // by group
  std::vector<Parameter> masters_;       // by group
  std::vector<OptimizerRun> optimizers_;
  std::vector<Tensor> buckets_;
  std::vector<Place> taken_;  // into the bucket, or one that is larger than it
  int64_t taken_elements_ = 0;
  Tensor own_;                 // gradients of this rank's part, of this backward pass
  Tensor kept_;                // those of all micro-batches
  std::vector<Tensor> pads_;   // by group: what is missing at its end
  std::vector<Tensor> full_;   // by group: the part's gradients in fp32, where they are gathered so
  Tensor norm_;                // of the last step's gradients
  Tensor loss_;                // of the last step, which the loop names
  std::vector<Tensor> norms_;  // of gradients that went to the host
  Tensor on_its_way_;          // a gradient to and from the host, where the optimizer is there
  bool is_last_ = true;
};

}  // namespace peakmem
