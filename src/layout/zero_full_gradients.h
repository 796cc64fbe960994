// ZeRO 1 with gradients in fp32: what DeepSpeed's BF16_Optimizer does to one rank's memory
// (0.19.8, runtime/bf16_optimizer.py).
//
//     started    weights ──► flat, fp32 copy of the part, fp32 gradients of all, kept for good
//     backward   bf16 gradients, kept ──► added to those in fp32; after the last one all are reduced at once in bf16
#pragma once

#include "layout/zero_optimizer.h"

namespace peakmem {

/// That optimizer's wrapper: gradients of all parameters are on every rank, in both dtypes.
class ZeroFullGradients : public ZeroOptimizer {
 public:
  ZeroFullGradients(Tape& tape, const Recipe& recipe);
  bool scales_loss() const override { return false; }
  void finish_backward() override;

 private:
  void update() override;
  void reduce();

  std::vector<Tensor> gradients_;  // by group, in fp32
};

}  // namespace peakmem
