#include "trace/engine.h"

#include "trace/ops.h"

namespace peakmem {
namespace {

/// Mark what the root reaches, and count how many gradients each leaf will receive.
void mark_reached(Tape& tape, int32_t root, int32_t floor, int32_t run) {
  for (int32_t i = root; i >= floor; --i) {
    Node* node = tape.node(i);
    if (node == nullptr || node->reached_in != run) continue;
    for (size_t k = 0; k < node->inputs; ++k) {
      Node* next = node->next[k].node;
      if (next == nullptr) continue;
      if (next->reached_in != run) next->pending = 0;
      next->reached_in = run;
      ++next->pending;
    }
  }
}

/// Whether the engine may sum into this gradient: nothing else holds it or its storage, and it has no gaps.
bool is_alone(const Tape& tape, const Tensor& gradient) {
  return gradient->references == 1 && !gradient->is_view && is_dense(gradient.shape()) &&
         (gradient->storage < 0 || tape.program.storages[static_cast<size_t>(gradient->storage)].references == 1);
}

/// Several consumers of a tensor: the gradients are summed as they arrive (input_buffer.cpp, torch 2.13).
void arrive(Tape& tape, Tensor& buffer, Tensor gradient) {
  if (!buffer) {
    buffer = std::move(gradient);
  } else if (is_alone(tape, buffer)) {
    gradient.reset();  // summed into what is there
  } else {
    buffer = add(buffer, std::move(gradient));
  }
}

bool same_layout(const Tensor& a, const KeptShape& b) {
  return is_contiguous(a.shape()) == is_contiguous(b) && is_dense(a.shape());
}

/// AccumulateGrad: a leaf keeps the gradient itself if nothing else holds it, else a copy; later ones are added in
/// place.
void accumulate(Tape& tape, Node& leaf) {
  Tensor arrived = std::move(leaf.incoming[0]);
  if (!leaf.gradient) {
    const bool take = arrived->references == 1 && same_layout(arrived, leaf.shape());
    leaf.gradient = take ? arrived : clone(arrived, contiguous(leaf.shape()));
    if (leaf.gradient->storage < 0) return;
    Storage& storage = tape.program.storages[static_cast<size_t>(leaf.gradient->storage)];
    storage.category = Category::kGradients;
    storage.scope = leaf.scope;
  }
  arrived.reset();
  if (tape.hooks != nullptr) tape.hooks->accumulated(leaf);
}

/// Gradients of broadcast inputs are summed, those of another dtype cast (validate_outputs in engine.cpp, torch 2.13).
void fit_to_inputs(Gradients& gradients) {
  for (size_t i = 0; i < gradients.node.inputs; ++i) {
    const Node* next = gradients.node.next[i].node;
    Tensor& gradient = gradients.out[i];
    if (next == nullptr || !gradient) continue;
    const KeptShape& shape = gradients.input_shape(i);
    if (!same_sizes(gradient.shape(), shape)) gradient = sum_to(std::move(gradient), shape);
    if (gradient.dtype() != next->dtype) gradient = to(std::move(gradient), next->dtype);
  }
}

void run_node(Tape& tape, Node* node, std::array<Tensor, 4>& out) {
  tape.scope = node->scope;
  tape.enter_unit(node->unit);
  bool any = false;
  for (const Tensor& gradient : node->incoming) any = any || gradient;
  Gradients gradients{*node, node->incoming, out};
  if (any) {
    tape.unpack(node);
    node->op->backward(gradients);
    Tape::forget_unpacked(node);
  }
  fit_to_inputs(gradients);
  for (Tensor& gradient : node->incoming) gradient.reset();
}

void route(Tape& tape, Node* node, std::array<Tensor, 4>& out) {
  for (size_t i = 0; i < node->inputs; ++i) {
    const Edge& edge = node->next[i];
    if (edge.node == nullptr) continue;
    if (out[i]) arrive(tape, edge.node->incoming[edge.output], std::move(out[i]));
    if (edge.node->accumulates && --edge.node->pending == 0 && edge.node->incoming[0]) accumulate(tape, *edge.node);
  }
}

/// Tells the hooks where the backward pass goes from one unit to the next; a pass within a pass is no matter of theirs.
/// The model's own begins at the gradient of what it returned: a quotient of its loss was divided again before.
class Crossing {
 public:
  Crossing(Tape& tape, bool outermost) : tape_(tape), hooks_(outermost ? tape.hooks : nullptr) { tape_.enter_unit(0); }
  ~Crossing() {
    if (hooks_ == nullptr) return;
    enter(0);
    hooks_->after_backward(0);
  }
  Crossing(const Crossing&) = delete;
  Crossing& operator=(const Crossing&) = delete;

  void enter(int32_t node, int32_t unit) {
    if (hooks_ == nullptr) return;
    if (node < tape_.end_of_model && !std::exchange(has_begun_, true)) hooks_->before_backward(0);
    enter(unit);
  }

 private:
  void enter(int32_t unit) {
    if (unit == unit_) return;
    if (unit_ != 0) hooks_->after_backward(unit_);
    tape_.enter_unit(unit_ = unit);
    if (unit_ != 0) hooks_->before_backward(unit_);
  }

  Tape& tape_;
  Hooks* hooks_;
  bool has_begun_ = false;
  int32_t unit_ = 0;
};

/// Runs what is reached, the newest first.
void walk(Tape& tape, int32_t newest, int32_t floor, int32_t run) {
  Crossing crossing(tape, floor == 0);
  for (int32_t i = newest; i >= floor; --i) {
    Node* node = tape.node(i);
    if (node == nullptr || node->reached_in != run) continue;
    crossing.enter(i, node->unit);
    if (tape.hooks != nullptr) tape.hooks->before_node(i);
    std::array<Tensor, 4> out;
    run_node(tape, node, out);
    tape.drop_saved(node);
    route(tape, node, out);
  }
}

}  // namespace

void run_backward(Tape& tape, const Tensor& root, Tensor gradient, int32_t floor) {
  const NoGrad no_grad(tape);
  const int32_t outer_scope = tape.scope;
  const int32_t outer_unit = tape.unit;
  const Category outer_category = std::exchange(tape.category, Category::kTemporaries);
  if (!gradient) gradient = tape.make(contiguous(root.shape()), root.dtype(), "ones_like");
  Node* first = root->node;
  if (first == nullptr) return;  // PyTorch raises; who lets users freeze parameters says so before
  const int32_t run = tape.next_run();
  first->reached_in = run;
  first->incoming[root->output] = gradient;  // the caller holds it too, to the end
  mark_reached(tape, first->index, floor, run);
  walk(tape, first->index, floor, run);
  tape.category = outer_category;
  tape.scope = outer_scope;
  tape.enter_unit(outer_unit);
}

Tensor& gradient_of(const Parameter& parameter) { return parameter.accumulator->gradient; }

}  // namespace peakmem
