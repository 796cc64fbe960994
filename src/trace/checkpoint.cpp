#include "trace/checkpoint.h"

#include "trace/engine.h"
#include "trace/ops.h"

namespace peakmem {
namespace {

/// The surroundings of the forward pass, restored while the layer runs again and put back afterwards.
class SecondRun {
 public:
  SecondRun(Tape& tape, int32_t scope, bool autocast)
      : tape_(tape),
        scope_(std::exchange(tape.scope, scope)),
        grad_mode_(std::exchange(tape.grad_mode, true)),
        category_(std::exchange(tape.category, Category::kActivations)),
        autocast_(std::exchange(tape.autocast.enabled, autocast)) {
    tape.runs_again = true;
  }
  ~SecondRun() {
    tape_.runs_again = false;
    tape_.autocast.cache.clear();  // its autocast region ends
    tape_.autocast.enabled = autocast_;
    tape_.category = category_;
    tape_.grad_mode = grad_mode_;
    tape_.scope = scope_;
  }
  SecondRun(const SecondRun&) = delete;
  SecondRun& operator=(const SecondRun&) = delete;

 private:
  Tape& tape_;
  int32_t scope_;
  bool grad_mode_;
  Category category_;
  bool autocast_;
};

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
