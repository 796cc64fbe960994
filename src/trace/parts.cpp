#include "trace/parts.h"

#include <memory>

#include "trace/ops.h"

namespace peakmem {
namespace {

const Op kSplit = {"split_with_sizes", run_function};

// Inputs: what was joined so far 0, a part 1.
void cat_backward(Gradients& g) {
  const int dim = g.node.dims[0];
  if (g.needs(0)) g.out[0] = g.in[0];
  if (g.needs(1)) g.out[1] = slice(g.in[0], dim, g.input_shape(1)[dim]);
}
const Op kCat = {"cat", cat_backward};

// Zeros of the input's sizes, filled in place.
void index_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "new_zeros");
}
const Op kIndex = {"index", index_backward};

}  // namespace

// A node for each part: they run from the last to the first, which makes the whole's gradient of all.
std::vector<Tensor> split_in_parts(const Tensor& input, int dim, const std::vector<int64_t>& lengths) {
  Tape& tape = input.tape();
  const auto gradients = std::make_shared<std::vector<Tensor>>();
  std::vector<Tensor> parts;
  for (const int64_t length : lengths) {
    Node* node = tape.record(kSplit, {&input});
    if (node != nullptr)
      node->function = [gradients, is_first = parts.empty()](Gradients& g) {
        gradients->push_back(g.in[0]);
        if (!is_first) return;
        g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "cat");
        gradients->clear();
      };
    parts.push_back(tape.look(input, narrowed(input.shape(), dim, length), true));
    Tape::attach(node, parts.back());
  }
  return parts;
}

// A chain of nodes as wide as the whole; all but the last only stand for it.
Tensor cat_parts(const std::vector<Tensor>& parts, int dim) {
  Tape& tape = parts.front().tape();
  Expr length = 0;
  for (const Tensor& part : parts) length = length + part.size(dim);
  const KeptShape& whole = tape.keep(contiguous(narrowed(parts.front().shape(), dim, length)));
  Tensor joined;
  for (const Tensor& part : parts) {
    Node* node = tape.record(kCat, {&joined, &part});
    if (node != nullptr) node->dims = {dim, 0};
    const bool is_last = &part == &parts.back();
    joined = is_last ? tape.make(whole, part.dtype(), kCat.name) : tape.look(part, whole, true);
    Tape::attach(node, joined);
  }
  return joined;
}

Tensor take_rows_by_host(Tensor input, Expr rows) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kIndex, {&x});
  Shape taken = x.shape();
  taken.size[0] = rows;
  Tensor result = tape.make(contiguous(taken), x.dtype(), kIndex.name);
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
