// The backward pass: autograd's engine and its rules of who is freed when.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// root.backward(gradient), without a gradient for a scalar root. Only nodes made since `floor` run (a nested backward
/// pass stays inside the layer that was run again).
void run_backward(Tape& tape, const Tensor& root, Tensor gradient = Tensor(), int32_t floor = 0);

/// The gradient a parameter has gathered; empty after zero_grad.
Tensor& gradient_of(const Parameter& parameter);

}  // namespace peakmem
