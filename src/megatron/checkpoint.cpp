#include "megatron/checkpoint.h"

#include <utility>

#include "trace/engine.h"
#include "trace/second_run.h"

namespace peakmem::mcore {
namespace {

const Op kCheckpoint = {"CheckpointFunction", run_function};

/// What the node saved, in its places again and detached: leaves where they want a gradient (detach_variable).
CheckpointInputs detached(Tape& tape, const Gradients& g, const std::array<bool, 4>& given) {
  CheckpointInputs inputs;
  size_t next = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!given[i]) continue;
    const Tensor saved = g.saved(next++);
    inputs[i] = saved->requires_grad ? tape.detached_leaf(saved) : saved;
  }
  return inputs;
}

void run_again(Tape& tape, const CheckpointedFunction& run, const std::array<bool, 4>& given, int64_t ranks,
               RecomputedLeaves* leaves, int32_t scope, Gradients& g) {
  if (ranks > 1) {
    const Tensor kept = g.saved(0);
    set_data(kept, tape.make(contiguous(kept.shape()), kept.dtype(), "empty"));
  }
  const CheckpointInputs inputs = detached(tape, g, given);
  std::array<std::shared_ptr<const RecomputedLeaf>, 4> kept;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i]) kept[i] = std::make_shared<RecomputedLeaf>(inputs[i]);
  const int32_t floor = tape.nodes();
  Tensor output;
  {
    const SecondRun surroundings(tape, scope, false);
    if (leaves != nullptr) leaves->current = kept[0];
    output = run(inputs);
    if (leaves != nullptr) leaves->current = nullptr;
  }
  run_backward(tape, output, g.in[0], floor);
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i] && inputs[i]->is_leaf && inputs[i]->node != nullptr && g.needs(i))
      g.out[i] = inputs[i]->node->gradient;
}

}  // namespace

void set_data(const Tensor& tensor, Tensor data) { std::swap(tensor->storage, data->storage); }

Tensor checkpoint(Tape& tape, const CheckpointedFunction& run, const CheckpointInputs& inputs, int64_t ranks,
                  RecomputedLeaves* leaves) {
  Node* node = tape.record(kCheckpoint, {&inputs[0], &inputs[1], &inputs[2], &inputs[3]});
  Tensor output;
  {
    const NoGrad no_grad(tape);
    output = run(inputs);
  }
  if (ranks > 1)
    set_data(inputs[0], tape.make({exact_div(inputs[0].shape().elements(), ranks)}, inputs[0].dtype(), "empty"));
  std::array<bool, 4> given = {};
  for (size_t i = 0; i < inputs.size(); ++i) {
    given[i] = static_cast<bool>(inputs[i]);
    if (inputs[i]) tape.save(node, inputs[i]);
  }
  Tape::attach(node, output);
  if (node != nullptr)
    node->function = [&tape, run, given, ranks, leaves, scope = tape.scope](Gradients& g) {
      run_again(tape, run, given, ranks, leaves, scope, g);
    };
  return output;
}

}  // namespace peakmem::mcore
