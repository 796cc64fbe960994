// Who wraps a model, as FSDP2 and DDP do: what is told of its passes.
#pragma once

#include <cstdint>

namespace peakmem {

class Tensor;
struct Node;

/// What wraps a model and its layers and is told when the forward or backward pass of one begins and ends. A unit is a
/// traced layer, or 0, the model with all that is in no layer; a turn of the program has one or several.
class Hooks {
 public:
  Hooks() = default;
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;
  virtual ~Hooks() = default;
  virtual void before_forward(int32_t /*unit*/) {}
  virtual void after_forward(int32_t /*unit*/) {}
  virtual void before_backward(int32_t /*unit*/) {}
  virtual void after_backward(int32_t /*unit*/) {}
  /// The scope of a module that has no name.
  static constexpr int32_t kNameless = -1;
  /// The forward pass of a module begins or ends, for the first time or again; its scope, which may be no module's.
  virtual void before_module(int32_t /*scope*/) {}
  virtual void after_module(int32_t /*scope*/) {}
  /// The backward pass comes to a node, of those that are reached; all newer ones have run.
  virtual void before_node(int32_t /*index*/) {}
  /// The model made a parameter; of which `Tape::meta_parameters` keep the memory away.
  virtual void made(const Tensor& /*parameter*/) {}
  /// A function computes with a parameter outside of the module that has it.
  virtual void before_use(const Tensor& /*parameter*/) {}
  /// A leaf has its gradient (a post hook of AccumulateGrad).
  virtual void accumulated(Node& /*leaf*/) {}
};

}  // namespace peakmem
