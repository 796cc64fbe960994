#include "megatron/te_ring_attention.h"

#include <array>
#include <utility>

#include "trace/workspace.h"

namespace peakmem::mcore {
namespace {

const Op kRing = {"AttnFuncWithCPAndKVP2P", run_function};

/// Which parts of queries, and of keys and values, meet in a step.
struct Section {
  Expr queries, keys;  // rows of each sequence
};

Section section_of(const Ring& ring, int64_t step, Expr rows) {
  if (step == 0) return {rows, rows};
  return step <= ring.rank ? Section{rows, exact_div(rows, 2)} : Section{exact_div(rows, 2), rows};
}

Shape with_rows(Shape part, Expr rows) {
  part.size[1] = rows;
  return contiguous(part);
}

/// A step's context, logarithms [b, heads, rows] and state of the random numbers.
struct Partial {
  Tensor output, logarithms;
};

Tensor logarithms_of(const Tensor& query, Expr rows) {
  return query.tape().make({query.size(0), query.size(2), rows}, DType::kFloat32, "softmax_lse");
}

// flash_attn's backward of a section (csrc/flash_attn/flash_api.cpp, 2.7): sums and accumulators, which go.
void flash_workspaces(Tape& tape, const Shape& query, const Shape& expanded_keys, DType dtype) {
  const int64_t rows = (query.size[1].number() + 127) / 128 * 128;
  const int64_t columns = (query.size[3].number() + 31) / 32 * 32;
  const Expr floats = query.size[0] * query.size[2] * rows * size_of(DType::kFloat32);
  const Tensor sums = workspace(tape, floats, "softmax_d");
  const Tensor accumulated = workspace(tape, floats * columns, "dq_accum");
  const Expr expanded = expanded_keys.rank > 0 ? expanded_keys.elements() * size_of(dtype) : Expr(0);
  const Tensor keys = workspace(tape, expanded, "dk_expanded");
  const Tensor values = workspace(tape, expanded, "dv_expanded");
}

// Steps in reverse; keys and values go round once more, with their gradients.
void ring_backward(Gradients& g, const Ring& ring) {
  Tape& tape = g.in[0].tape();
  const DType dtype = g.in[0].dtype();
  const Shape query = contiguous(g.input_shape(0));
  const Shape key = contiguous(g.input_shape(1));
  const Expr rows = query.size[1];
  Tensor half;
  if (ring.rank < ring.size - 1) half = logarithms_of(g.saved(0), exact_div(rows, 2));
  Tensor gradient = tape.make(query, dtype, "dq_buffer");
  std::array<Tensor, 2> buffers;
  for (Tensor& buffer : buffers) buffer = tape.make({4 * key.elements()}, dtype, "p2p_comm_buffers");
  std::array<Tensor, 3> parts;
  for (int64_t i = 0; i < ring.size; ++i) {
    parts = {};
    const Section section = section_of(ring, ring.size - 1 - i, rows);
    const Shape part = with_rows(query, section.queries);
    parts[0] = tape.make(part, dtype, "empty_like");
    parts[1] = tape.make(with_rows(key, section.keys), dtype, "empty_like");
    parts[2] = tape.make(with_rows(key, section.keys), dtype, "empty_like");
    // Keys and values of fewer heads have gradients for every head first.
    const bool grouped = !identical(query.size[2], key.size[2]);
    flash_workspaces(tape, part, grouped ? with_rows(query, section.keys) : Shape(), dtype);
  }
  parts = {};
  const Tensor& last = buffers[static_cast<size_t>(ring.size % 2)];
  g.out[0] = std::move(gradient);
  g.out[1] = tape.look(last, key, true);
  g.out[2] = tape.look(last, key, true);
}

/// What the steps leave: their context, its logarithms and the keys and values that came last.
struct Gone {
  Tensor output, logarithms, keys_values;
  Tensor rng_states;  // 16 bytes for each step, here as one tensor
};

Gone go_round(const Tensor& query, const Tensor& key, const Ring& ring) {
  Tape& tape = query.tape();
  const DType dtype = query.dtype();
  const Expr rows = query.size(1);
  const Shape both = {2 * key.shape().elements()};
  std::array<Tensor, 2> buffers;
  std::array<Tensor, 2> used;
  std::array<Partial, 2> partial;
  Gone gone;
  buffers[0] = tape.make(both, dtype, "cat");
  gone.rng_states = tape.make({2 * ring.size}, DType::kInt64, "rng_state");
  Tensor before;
  for (int64_t i = 0; i <= ring.size; ++i) {
    const auto now = static_cast<size_t>(i % 2);
    if (i < ring.size) {
      if (i < ring.size - 1) buffers[1 - now] = tape.make(both, dtype, "empty_like");
      used[now] = buffers[now];
      const Expr queries = section_of(ring, i, rows).queries;
      Tensor output = tape.make(with_rows(query.shape(), queries), dtype, "FlashAttnFunc");
      Tensor logarithms = logarithms_of(query, queries);
      partial[now] = {std::move(output), std::move(logarithms)};
    }
    if (i == 0) continue;
    if (i == 1) {
      gone.logarithms = logarithms_of(query, rows);
      gone.output = tape.make(contiguous(query.shape()), dtype, "clone");
      continue;
    }
    before = logarithms_of(query, rows);
    const Tensor corrected = tape.make(partial[1 - now].output.shape(), dtype, "out_correction");
  }
  gone.keys_values = used[static_cast<size_t>((ring.size - 1) % 2)];
  return gone;
}

}  // namespace

Tensor te_ring_attention(Tensor query, Tensor key, Tensor value, const Ring& ring) {
  const auto by_batch = [](const Tensor& x) { return contiguous(transpose(x, 0, 1)); };
  const Tensor q = by_batch(query);
  const Tensor k = by_batch(key);
  const Tensor v = by_batch(value);
  Tape& tape = q.tape();
  Node* node = tape.record(kRing, {&q, &k, &v});
  Tensor output;
  {
    const NoGrad no_grad(tape);
    Gone gone = go_round(q, k, ring);
    tape.save(node, q);
    tape.save(node, gone.keys_values);
    tape.save(node, gone.logarithms);
    tape.save(node, gone.rng_states);
    output = std::move(gone.output);
  }
  tape.save_output(node, output);
  Tape::attach(node, output);
  if (node != nullptr) node->function = [ring](Gradients& g) { ring_backward(g, ring); };
  return merge_dims(contiguous(transpose(output, 0, 1)), 2, 2);
}

}  // namespace peakmem::mcore
