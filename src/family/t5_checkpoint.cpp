#include "family/t5_checkpoint.h"

#include <utility>

#include "trace/engine.h"
#include "trace/ops.h"
#include "trace/second_run.h"

namespace peakmem {
namespace {

const Op kCheckpoint = {"CheckpointFunction", run_function};

/// The arguments by their place in a node's saved tensors.
std::array<Tensor*, 5> each_of(T5BlockArguments& a) {
  return {&a.before.hidden_states, &a.mask, &a.before.position_bias, &a.encoder_hidden_states,
          &a.before.encoder_decoder_position_bias};
}

/// A bias that a block gave: what its gradient of zeros is made like.
struct GivenBias {
  const KeptShape* shape = nullptr;
  DType dtype = DType::kFloat32;

  explicit GivenBias(const Tensor& bias) {
    if (!bias) return;
    shape = &bias.shape();
    dtype = bias.dtype();
  }
};

/// The gradient that a leaf gathered, which goes on.
Tensor taken_from(const Tensor& leaf) {
  if (!leaf || leaf->node == nullptr) return {};
  return std::exchange(leaf->node->gradient, Tensor());
}

/// A block's second run.
class Again {
 public:
  Again(Tape& tape, T5BlockCall block, const T5BlockArguments& arguments, const T5BlockState& given,
        T5BiasGradients gradients)
      : tape_(tape),
        block_(std::move(block)),
        gradients_(std::move(gradients)),
        given_{GivenBias(given.position_bias), GivenBias(given.encoder_decoder_position_bias)},
        scope_(tape.scope),
        autocast_(tape.autocast.enabled) {
    T5BlockArguments all = arguments;
    const std::array<Tensor*, 5> each = each_of(all);
    for (size_t i = 0; i < each.size(); ++i) has_[i] = static_cast<bool>(*each[i]);
  }

  void operator()(Gradients& g) const {
    const std::array<Tensor, 2> of_biases = incoming();
    T5BlockArguments detached = inputs(g);
    const int32_t floor = tape_.nodes();
    T5BlockState again;
    {
      const SecondRun surroundings(tape_, scope_, autocast_);
      again = block_(detached);
    }
    start_from(again.position_bias, of_biases[0]);
    start_from(again.encoder_decoder_position_bias, of_biases[1]);
    run_backward(tape_, again.hidden_states, g.in[0], floor);
    g.out[0] = taken_from(detached.before.hidden_states);
    g.out[1] = taken_from(detached.encoder_hidden_states);
    *gradients_ = {taken_from(detached.before.position_bias),
                   taken_from(detached.before.encoder_decoder_position_bias)};
  }

 private:
  /// The biases' gradients, with zeros in the place of those that nobody gave (materialize_grads).
  std::array<Tensor, 2> incoming() const {
    std::array<Tensor, 2> taken = std::exchange(*gradients_, {});
    for (size_t i = 0; i < taken.size(); ++i)
      if (!taken[i] && given_[i].shape != nullptr)
        taken[i] = tape_.make(contiguous(*given_[i].shape), given_[i].dtype, "zeros");
    return taken;
  }

  /// detach_variable: leaves in the place of what wants a gradient, as a bias does that a block gave.
  T5BlockArguments inputs(const Gradients& g) const {
    T5BlockArguments detached;
    const std::array<Tensor*, 5> each = each_of(detached);
    size_t place = 0;
    for (size_t i = 0; i < each.size(); ++i) {
      if (!has_[i]) continue;
      const Tensor saved = g.saved(place++);
      const bool is_bias =
          each[i] == &detached.before.position_bias || each[i] == &detached.before.encoder_decoder_position_bias;
      *each[i] = saved->requires_grad || is_bias ? tape_.detached_leaf(saved) : detach(saved);
    }
    return detached;
  }

  /// A root of the backward pass besides the hidden states; the caller holds its gradient too.
  static void start_from(const Tensor& root, const Tensor& gradient) {
    if (root && root->requires_grad) root->node->incoming[root->output] = gradient;
  }

  Tape& tape_;
  T5BlockCall block_;
  T5BiasGradients gradients_;
  std::array<GivenBias, 2> given_;
  std::array<bool, 5> has_ = {};
  int32_t scope_;
  bool autocast_;
};

}  // namespace

T5BlockState checkpoint_t5_block(const T5BlockCall& block, const T5BlockArguments& arguments,
                                 const T5BiasGradients& gradients) {
  Tape& tape = arguments.before.hidden_states.tape();
  Node* node = tape.record(kCheckpoint, {&arguments.before.hidden_states, &arguments.encoder_hidden_states});
  T5BlockArguments all = arguments;
  for (const Tensor* argument : each_of(all))
    if (*argument) tape.save(node, *argument);
  T5BlockState given;
  {
    const NoGrad no_grad(tape);
    given = block(arguments);
  }
  if (node == nullptr) return given;
  node->function = Again(tape, block, arguments, given, gradients);
  Tape::attach(node, given.hidden_states);
  return given;
}

}  // namespace peakmem
