#include "trace/checkpoint.h"

#include "trace/engine.h"
#include "trace/ops.h"
#include "trace/second_run.h"

namespace peakmem {
namespace {

Tensor checkpoint_saved_tensors(const LayerFunction& layer, const Tensor& hidden_states, const Tensor& mask) {
  Tape& tape = hidden_states.tape();
  const int32_t frame = tape.new_frame();
  tape.frame_at(frame).again = [&tape, layer, hidden_states, mask, frame, scope = tape.scope,
                                autocast = tape.autocast.enabled] {
    const SecondRun surroundings(tape, scope, autocast);
    Frame& call = tape.frame_at(frame);
    call.slots.resize(static_cast<size_t>(call.saved));
    const int32_t outer = std::exchange(tape.frame, frame);
    layer(hidden_states, mask);
    tape.ghost = false;
    tape.frame = outer;
  };
  const int32_t outer = std::exchange(tape.frame, frame);
  Tensor output = layer(hidden_states, mask);
  tape.frame = outer;
  if (tape.frame_at(frame).saved == 0) tape.frame_at(frame).again = nullptr;  // nobody will ask for the arguments
  return output;
}

const Op kCheckpoint = {"CheckpointFunction", run_function};

Tensor checkpoint_reentrant(const LayerFunction& layer, const Tensor& hidden_states, const Tensor& mask) {
  Tape& tape = hidden_states.tape();
  Node* node = tape.record(kCheckpoint, {&hidden_states});
  tape.save(node, hidden_states);
  if (mask) tape.save(node, mask);
  Tensor output;
  {
    const NoGrad no_grad(tape);
    output = layer(hidden_states, mask);
  }
  if (node == nullptr) return output;
  node->function = [&tape, layer, masked = static_cast<bool>(mask), scope = tape.scope,
                    autocast = tape.autocast.enabled](Gradients& g) {
    const Tensor detached = tape.detached_leaf(g.saved(0));
    const int32_t floor = tape.nodes();
    Tensor again;
    {
      const SecondRun surroundings(tape, scope, autocast);
      again = layer(detached, masked ? g.saved(1) : Tensor());
    }
    run_backward(tape, again, g.in[0], floor);
    tape.aside.clear();
    g.out[0] = detached->node->gradient;
    detached->node->gradient.reset();
  };
  Tape::attach(node, output);
  return output;
}

}  // namespace

Tensor checkpoint(Checkpointing mode, const LayerFunction& layer, const Tensor& hidden_states, const Tensor& mask) {
  if (mode == Checkpointing::kNone || !hidden_states.tape().grad_mode) return layer(hidden_states, mask);
  return mode == Checkpointing::kFull ? checkpoint_saved_tensors(layer, hidden_states, mask)
                                      : checkpoint_reentrant(layer, hidden_states, mask);
}

}  // namespace peakmem
