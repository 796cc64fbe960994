#include "trace/liger_experts.h"

#include <algorithm>
#include <bit>

#include "trace/ops.h"

namespace peakmem {
namespace {

/// compute_routing_metadata: what of it the backward pass needs.
struct RoutingMetadata {
  Tensor tokens_per_expert, starts, gather, scatter, reverse_scatter, tile_rows, tile_experts;
};

RoutingMetadata routing_metadata(Tape& tape, Expr tokens, Expr experts, int64_t per_token) {
  const auto make = [&](const Shape& shape) { return tape.make(shape, DType::kInt32, "empty"); };
  const auto most = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(per_token)));
  const Expr pairs = tokens * per_token;
  RoutingMetadata made;
  const Tensor counts = make({experts, ceil_div(tokens, std::max<int64_t>(1, 1024 / most))});
  made.tokens_per_expert = tape.make({experts}, DType::kInt32, "sum");
  made.starts = make({experts + 1});
  const Tensor tile_offsets = make({experts + 1});
  made.tile_rows = make({1});
  made.tile_experts = make({1});
  made.scatter = make({pairs});
  made.reverse_scatter = make({pairs});
  made.gather = make({pairs});
  return made;
}

// Inputs: rows 0, gate_up_proj 1, down_proj 2, weights 3; saved in this order, then what the activation is made of.
void liger_experts_backward(Gradients& g) {
  Tape& tape = g.in[0].tape();
  const DType dtype = g.in[0].dtype();
  const Tensor output = contiguous(g.in[0]);
  const Tensor gate_up_proj = g.saved(1);
  const Tensor down_proj = g.saved(2);
  const Tensor weights = g.saved(3);
  const Tensor pre_act = g.saved(4);
  const Expr pairs = pre_act.size(0);
  const Tensor d_pre_act = tape.make({pairs, pre_act.size(1)}, dtype, "empty");
  const Tensor weighted_act = tape.make({pairs, down_proj.size(2)}, dtype, "empty");
  count_grouped_product(d_pre_act, down_proj.size(0), pairs, down_proj.size(1), down_proj.size(2));
  const Tensor of_weights = tape.make({pairs}, dtype, "zeros");
  const Tensor of_down = tape.make(contiguous(down_proj.shape()), down_proj.dtype(), "zeros_like");
  count_grouped_product(of_down, down_proj.size(0), pairs, down_proj.size(2), down_proj.size(1));
  const Tensor of_pairs = tape.make({pairs, output.size(1)}, dtype, "empty");
  count_grouped_product(of_pairs, down_proj.size(0), pairs, pre_act.size(1), output.size(1));
  const Tensor of_rows = tape.make(contiguous(output.shape()), dtype, "zeros");
  const Tensor of_gate_up = tape.make(contiguous(gate_up_proj.shape()), gate_up_proj.dtype(), "zeros_like");
  count_grouped_product(of_gate_up, down_proj.size(0), pairs, output.size(1), pre_act.size(1));
  if (g.needs(0)) g.out[0] = of_rows;
  if (g.needs(1)) g.out[1] = of_gate_up;
  if (g.needs(2)) g.out[2] = of_down;
  if (g.needs(3)) g.out[3] = split_dim(of_weights, 0, g.input_shape(3)[0], g.input_shape(3)[1]);
}
const Op kLigerExperts = {"LigerFusedMoEFunction", liger_experts_backward};

// A node has room for eight saved tensors, and this function keeps eleven: three are with the view of its rows, which
// goes right after it.
void rows_backward(Gradients& g) { g.out[0] = g.in[0]; }
const Op kRows = {"view", rows_backward};

}  // namespace

Tensor liger_experts(const Tensor& rows, const Tensor& gate_up_proj, const Tensor& down_proj,
                     const ExpertChoice& choice) {
  Tape& tape = rows.tape();
  Node* view = tape.record(kRows, {&rows});
  const Tensor x = tape.look(rows, rows.shape(), true);
  Tape::attach(view, x);
  const Tensor indices = tape.make(choice.indices.shape(), DType::kInt32, "_to_copy");
  Node* node = tape.record(kLigerExperts, {&x, &gate_up_proj, &down_proj, &choice.weights});
  const RoutingMetadata routing = routing_metadata(tape, x.size(0), gate_up_proj.size(0), choice.per_token);
  const Expr pairs = routing.gather.size(0);
  const Tensor pre_act = tape.make({pairs, gate_up_proj.size(1)}, x.dtype(), "empty");
  const Tensor post_act = tape.make({pairs, down_proj.size(2)}, x.dtype(), "empty");
  const Tensor of_pairs = tape.make({pairs, x.size(1)}, x.dtype(), "empty");
  count_grouped_product(pre_act, gate_up_proj.size(0), pairs, x.size(1), gate_up_proj.size(1));
  count_grouped_product(of_pairs, down_proj.size(0), pairs, down_proj.size(2), x.size(1));
  Tensor result = tape.make({x.size(0), x.size(1)}, x.dtype(), "empty");
  for (const Tensor& kept : {routing.scatter, routing.tile_rows, routing.tile_experts}) tape.save(view, kept);
  for (const Tensor& kept :
       {x, gate_up_proj, down_proj, choice.weights, pre_act, routing.starts, routing.gather, routing.reverse_scatter})
    tape.save(node, kept);
  Tape::attach(node, result);
  return result;
}

}  // namespace peakmem
