#include "trace/checkpoint.h"

#include "trace/engine.h"
#include "trace/ops.h"
#include "trace/second_run.h"

namespace peakmem {
namespace {

/// A call's positional arguments.
struct Arguments {
  Tensor hidden_states, mask, encoder_hidden_states;
};

Tensor run(const CrossLayerFunction& layer, const Arguments& a) {
  return layer(a.hidden_states, a.mask, a.encoder_hidden_states);
}

Tensor checkpoint_saved_tensors(const CrossLayerFunction& layer, const Arguments& arguments,
                                const CheckpointPolicy& policy = {}) {
  Tape& tape = arguments.hidden_states.tape();
  const int32_t frame = tape.new_frame();
  tape.frame_at(frame).stops_early = policy.stops_early;
  tape.frame_at(frame).keeps = policy.keeps;
  tape.frame_at(frame).again = [&tape, layer, arguments, frame, scope = tape.scope, autocast = tape.autocast.enabled] {
    const SecondRun surroundings(tape, scope, autocast);
    const int32_t outer = std::exchange(tape.frame, frame);
    run(layer, arguments);
    tape.ghost = false;
    tape.frame = outer;
  };
  const int32_t outer = std::exchange(tape.frame, frame);
  Tensor output = run(layer, arguments);
  tape.frame = outer;
  if (tape.frame_at(frame).saved == 0) tape.frame_at(frame).again = nullptr;  // nobody will ask for the arguments
  return output;
}

const Op kCheckpoint = {"CheckpointFunction", run_function};

/// What a node saved of them, by their place, and detached: leaves where they want a gradient (detach_variable).
Arguments detached(Tape& tape, const Gradients& g, bool has_mask, bool has_encoder) {
  Arguments a;
  a.hidden_states = tape.detached_leaf(g.saved(0));
  if (has_mask) a.mask = g.saved(1);
  if (!has_encoder) return a;
  a.encoder_hidden_states = g.saved(has_mask ? 2 : 1);
  if (a.encoder_hidden_states->requires_grad) a.encoder_hidden_states = tape.detached_leaf(a.encoder_hidden_states);
  return a;
}

/// The gradient that a leaf gathered, which goes on.
Tensor taken_from(const Tensor& leaf) {
  if (!leaf || leaf->node == nullptr || !leaf->is_leaf) return {};
  return std::exchange(leaf->node->gradient, Tensor());
}

Tensor checkpoint_reentrant(const CrossLayerFunction& layer, const Arguments& arguments) {
  Tape& tape = arguments.hidden_states.tape();
  Node* node = tape.record(kCheckpoint, {&arguments.hidden_states, &arguments.encoder_hidden_states});
  for (const Tensor* each : {&arguments.hidden_states, &arguments.mask, &arguments.encoder_hidden_states})
    if (*each) tape.save(node, *each);
  Tensor output;
  {
    const NoGrad no_grad(tape);
    output = run(layer, arguments);
  }
  if (node == nullptr) return output;
  node->function = [&tape, layer, has_mask = static_cast<bool>(arguments.mask),
                    has_encoder = static_cast<bool>(arguments.encoder_hidden_states), scope = tape.scope,
                    autocast = tape.autocast.enabled](Gradients& g) {
    const Arguments leaves = detached(tape, g, has_mask, has_encoder);
    const int32_t floor = tape.nodes();
    Tensor again;
    {
      const SecondRun surroundings(tape, scope, autocast);
      again = run(layer, leaves);
    }
    run_backward(tape, again, g.in[0], floor);
    tape.aside.clear();
    g.out[0] = taken_from(leaves.hidden_states);
    if (has_encoder) g.out[1] = taken_from(leaves.encoder_hidden_states);
  };
  Tape::attach(node, output);
  return output;
}

}  // namespace

Tensor checkpoint(Checkpointing mode, const LayerFunction& layer, const Tensor& hidden_states, const Tensor& mask,
                  const CheckpointPolicy& policy) {
  if (mode == Checkpointing::kNone || !hidden_states.tape().grad_mode) return layer(hidden_states, mask);
  const CrossLayerFunction call = [layer](const Tensor& input, const Tensor& same_mask, const Tensor&) {
    return layer(input, same_mask);
  };
  if (mode == Checkpointing::kFull) return checkpoint_saved_tensors(call, {hidden_states, mask, Tensor()}, policy);
  return checkpoint(mode, call, hidden_states, mask, Tensor());
}

Tensor checkpoint(Checkpointing mode, const CrossLayerFunction& layer, const Tensor& hidden_states, const Tensor& mask,
                  const Tensor& encoder_hidden_states) {
  const Arguments arguments = {hidden_states, mask, encoder_hidden_states};
  if (mode == Checkpointing::kNone || !hidden_states.tape().grad_mode) return run(layer, arguments);
  return mode == Checkpointing::kFull ? checkpoint_saved_tensors(layer, arguments)
                                      : checkpoint_reentrant(layer, arguments);
}

}  // namespace peakmem
