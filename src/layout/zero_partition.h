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

#include "layout/zero_optimizer.h"

namespace peakmem {

/// That optimizer's wrapper.
class ZeroPartition : public ZeroOptimizer {
 public:
  ZeroPartition(Tape& tape, const Recipe& recipe);
  void accumulated(Node& leaf) override;
  void finish_backward() override;

 private:
  /// Where a parameter is: its group and its place there.
  struct Place {
    size_t group;
    size_t member;
  };

  void update() override;
  const ZeroMember& member(const Place& place) const { return groups_[place.group].members[place.member]; }
  Tensor& gradient(const Place& place) { return ZeroOptimizer::gradient(member(place)); }
  bool is_own(const Place& place) const;
  void make_buckets();
  void take(const Place& place);
  void take_all();
  void reduce();
  void average(const std::vector<Place>& taken);
  void send(const std::vector<ZeroSlice>& pieces, int64_t elements);
  void keep(const Place& place);
  void make_room();
  void send_to_host(const Place& place);
  void finish_step_of_gradients();
  void take_norms(const ZeroGroup& group);
  void update(size_t index);
  Stream reduction_stream() const { return zero_.overlaps ? Stream::kAllReduce : Stream::kMain; }

  std::map<const Node*, Place> places_;  // of parameters, by accumulator
  std::vector<Tensor> buckets_;
  std::vector<Place> taken_;  // into the bucket, or one that is larger than it
  int64_t taken_elements_ = 0;
  Tensor own_;                 // gradients of this rank's part, of this backward pass
  Tensor kept_;                // those of all micro-batches
  std::vector<Tensor> pads_;   // by group: what is missing at its end
  std::vector<Tensor> full_;   // by group: the part's gradients in fp32, where they are gathered so
  std::vector<Tensor> norms_;  // of gradients that went to the host
  Tensor on_its_way_;          // a gradient to and from the host, where the optimizer is there
};

}  // namespace peakmem
