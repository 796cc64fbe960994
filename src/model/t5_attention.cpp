#include "model/t5_attention.h"

#include <array>

#include "model/cache.h"

namespace peakmem {
namespace {

/// _relative_position_bucket in both directions: half of the buckets for keys that follow.
Tensor buckets_both_ways(Tape& tape, const KeptShape& square, Tensor* log_ratio) {
  Tensor follows = tape.make(square, DType::kBool, "gt");
  Tensor buckets = tape.make(square, DType::kInt64, "_to_copy");
  follows.reset();
  for (const char* name : {"mul", "add"}) buckets = tape.make(square, DType::kInt64, name);
  const Tensor distance = tape.make(square, DType::kInt64, "abs");
  const Tensor is_small = tape.make(square, DType::kBool, "lt");
  const Tensor far = far_buckets(tape, square, log_ratio);
  const Tensor chosen = tape.make(square, DType::kInt64, "where");  // added in place
  return buckets;
}

/// _relative_position_bucket of a decoder: keys that follow share the bucket of distance 0.
Tensor buckets_backwards(Tape& tape, const KeptShape& square, Tensor* log_ratio) {
  Tensor zeros = tape.make(square, DType::kInt64, "zeros_like");
  Tensor behind = tape.make(square, DType::kInt64, "minimum");
  zeros.reset();
  const Tensor distance = tape.make(square, DType::kInt64, "neg");
  behind.reset();
  const Tensor is_small = tape.make(square, DType::kBool, "lt");
  const Tensor far = far_buckets(tape, square, log_ratio);
  const Tensor chosen = tape.make(square, DType::kInt64, "where");
  return tape.make(square, DType::kInt64, "add");
}

/// Zeros of a checkpointed model that gather a gradient. The leaf and its gradient live as long as the graph, whose
/// AccumulateGrad holds them: here a node that has no input to pass a gradient to. `anchor` says that there is a graph.
Tensor leaf(const Tensor& tensor, const Tensor& anchor) {
  static const Op accumulate = {"AccumulateGrad", run_function};
  Tape& tape = tensor.tape();
  Node* node = tape.record(accumulate, {&anchor});
  Tensor result = tape.look(tensor, tensor.shape(), false);
  if (node == nullptr) return result;
  node->function = [held = tensor, gradient = Tensor()](Gradients& g) mutable { gradient = g.in[0]; };
  Tape::attach(node, result);
  return result;
}

T5Attention attention_at(const Builder& b, const Dims& keys, std::array<const char*, 2> names, bool is_causal,
                         bool has_bias) {
  const Scope scope(b.tape, names[0]);
  const Scope inner(b.tape, names[1]);
  return {b, keys, is_causal, has_bias};
}

T5LayerNorm norm_at(const Builder& b, const char* name) {
  const Scope scope(b.tape, name);
  return {b, "layer_norm"};
}

}  // namespace

bool has_own_biases(const Builder& b) { return b.description.family == "umt5"; }

Tensor far_buckets(Tape& tape, const KeptShape& square, Tensor* log_ratio) {
  Tensor ratio = tape.make(square, DType::kFloat32, "_to_copy");
  for (const char* name : {"div", "log", "div", "mul"}) ratio = tape.make(square, DType::kFloat32, name);
  Tensor whole = tape.make(square, DType::kInt64, "_to_copy");
  if (log_ratio != nullptr) *log_ratio = ratio;
  ratio.reset();
  whole = tape.make(square, DType::kInt64, "add");
  const Tensor last = tape.make(square, DType::kInt64, "full_like");
  return tape.make(square, DType::kInt64, "minimum");
}

T5LayerNorm::T5LayerNorm(const Builder& builder, const char* own_name) : b(builder), name(own_name) {
  const Scope scope(b.tape, name);
  weight = b.norm_parameter({b.dims.hidden}, "weight");
}

Tensor T5LayerNorm::operator()(const Tensor& input) const {
  const Scope scope(b.tape, name);
  const Tensor variance = mean_last(pow_scalar(to(input, DType::kFloat32)));
  Tensor hidden_states = mul(input, rsqrt(add_scalar(variance)));
  if (weight.dtype() != DType::kFloat32) hidden_states = to(hidden_states, weight.dtype());
  return mul(weight, hidden_states);
}

T5Attention::T5Attention(const Builder& builder, const Dims& key_dims, bool is_causal, bool has_relative_attention_bias)
    : b(builder),
      keys(key_dims),
      causal(is_causal),
      q(projection("q")),
      k(projection("k")),
      v(projection("v")),
      o(b, "o", b.dims.heads * b.dims.head_dim, b.dims.hidden, false) {
  if (has_relative_attention_bias)
    relative_attention_bias.emplace(b, "relative_attention_bias", b.description.buckets, b.dims.heads);
}

Linear T5Attention::projection(const char* name) const {
  return {b, name, b.dims.hidden, b.dims.heads * b.dims.head_dim, false};
}

Tensor T5Attention::heads(const Linear& projection, const Tensor& states) const {
  return as_heads(projection(states), b.dims.heads, b.dims.head_dim);
}

T5AttentionOutput T5Attention::operator()(const Tensor& hidden_states, const T5AttentionContext& context) const {
  const bool crosses = static_cast<bool>(context.key_value_states);
  const Scope scope(b.tape, crosses ? "EncDecAttention" : "SelfAttention");
  const Tensor query_states = heads(q, hidden_states);
  const Tensor& current_states = crosses ? context.key_value_states : hidden_states;
  Tensor key_states = heads(k, current_states);
  Tensor value_states = heads(v, current_states);
  update_cache(b, key_states, value_states);
  Tensor position_bias = context.position_bias;
  if (!position_bias) position_bias = relative_attention_bias ? compute_bias() : no_bias(query_states);
  T5AttentionOutput attention = b.structure.attention == Attention::kEager
                                    ? eager(query_states, key_states, value_states, position_bias, context.mask)
                                    : sdpa(query_states, key_states, value_states, position_bias);
  if (!has_own_biases(b)) attention.position_bias = position_bias;
  attention.output = from_heads(attention.output);
  attention.output = o(attention.output);
  return attention;
}

/// [1, heads, T, T], looked at in an embedding of [T, T, heads].
Tensor T5Attention::compute_bias() const {
  const Scope scope(b.tape, "relative_attention_bias");
  Tape& tape = b.tape;
  const KeptShape& square = tape.keep({b.dims.seq, b.dims.seq});
  Tensor range = tape.make({b.dims.seq}, DType::kInt64, "arange");
  const Tensor context_position = tape.make({b.dims.seq, 1}, DType::kInt64, "add");
  range.reset();
  const Tensor memory_position = tape.make({b.dims.seq}, DType::kInt64, "arange");
  const Tensor relative_position = tape.make(square, DType::kInt64, "sub");
  const Tensor bucket = bucket_of_each(square);
  const Tensor values = (*relative_attention_bias)(bucket);
  return unsqueeze(transpose(transpose(values, 0, 2), 1, 2), 0);
}

Tensor T5Attention::bucket_of_each(const KeptShape& square) const {
  Tensor kept;
  Tensor* const log_ratio = has_own_biases(b) ? &kept : nullptr;
  return causal ? buckets_backwards(b.tape, square, log_ratio) : buckets_both_ways(b.tape, square, log_ratio);
}

/// Zeros in the place of a bias; a checkpointed model makes them a leaf that gathers a gradient, but for umT5.
Tensor T5Attention::no_bias(const Tensor& query) const {
  Tensor zeros = b.tape.make({1, b.dims.heads, b.dims.seq, keys.seq}, query.dtype(), "zeros");
  return b.structure.checkpointing == Checkpointing::kNone || has_own_biases(b) ? zeros : leaf(zeros, query);
}

T5AttentionOutput T5Attention::eager(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& bias,
                                     const Tensor& mask) const {
  Tensor weights = mul_scalar(matmul(query, transpose(key, 2, 3)));
  weights = add(weights, bias);
  if (mask) weights = add(weights, mask);
  weights = softmax(weights);
  weights = dropout(weights, b.description.attention_dropout);
  Tensor output = matmul(weights, value);
  output = transpose(output, 1, 2);
  return {contiguous(output), Tensor(), weights};
}

T5AttentionOutput T5Attention::sdpa(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const Tensor& bias) const {
  const KernelSizes sizes = {.head_dim = b.dims.padded_head_dim,
                             .seq = keys.padded_seq,
                             .bias_row = keys.bias_row,
                             .columns = b.dims.sdpa_columns,
                             .kernels = b.structure.attention_kernels};
  const Tensor mask = bias_mask(bias);
  Tensor output = scaled_dot_product_attention(query, key, value, mask, b.description.attention_dropout, false, sizes);
  return {contiguous(transpose(std::move(output), 1, 2)), Tensor(), Tensor()};
}

/// create_position_bias_mask: the bias, in a decoder with what must not be seen masked out.
Tensor T5Attention::bias_mask(const Tensor& bias) const {
  if (!causal || b.structure.single_token) return contiguous(bias);
  Tensor queries = b.tape.make({b.dims.seq}, DType::kInt64, "arange");
  Tensor seen = b.tape.make({b.dims.seq}, DType::kInt64, "arange");
  const Tensor causal_mask = b.tape.make({1, 1, b.dims.seq, b.dims.seq}, DType::kBool, "ge");
  queries.reset();
  seen.reset();
  const Tensor masked = where(causal_mask, bias);
  return contiguous(masked);
}

T5AttentionLayer::T5AttentionLayer(const Builder& builder, bool is_causal, bool is_first)
    : T5AttentionLayer(builder, builder.dims, "layer.0", "SelfAttention", is_causal, is_first) {}

T5AttentionLayer::T5AttentionLayer(const Builder& builder, const Dims& encoder)
    : T5AttentionLayer(builder, encoder, "layer.1", "EncDecAttention", false, false) {}

T5AttentionLayer::T5AttentionLayer(const Builder& builder, const Dims& keys, const char* own_name, const char* kind,
                                   bool is_causal, bool has_bias)
    : b(builder),
      name(own_name),
      attention(attention_at(b, keys, {name, kind}, is_causal, has_bias)),
      layer_norm(norm_at(b, name)) {}

T5AttentionOutput T5AttentionLayer::operator()(const Tensor& hidden_states, const T5AttentionContext& context) const {
  const Scope scope(b.tape, name);
  const Tensor normed_hidden_states = layer_norm(hidden_states);
  T5AttentionOutput attended = attention(normed_hidden_states, context);
  attended.output = add(hidden_states, dropout(attended.output, b.description.hidden_dropout));
  return attended;
}

}  // namespace peakmem
