#include "model/modules.h"

#include <utility>

#include "model/called.h"

namespace peakmem {
namespace {

void mark_embedding(const Tensor& weight) {
  for (std::vector<Parameter>* all : {&weight.tape().parameters, &weight.tape().frozen})
    for (Parameter& parameter : *all)
      if (parameter.value.get() == weight.get()) parameter.of_embedding = true;
}

}  // namespace

bool Builder::trains(const char* name) const {
  if (structure.lora != nullptr) return false;
  return structure.freeze == nullptr || !structure.freeze->covers(tape.program.name(tape.enter(name), tape.layer));
}

bool Builder::saves() const {
  const Lora* lora = structure.lora;
  return lora != nullptr && !lora->saved.empty() && lora->saves(tape.program.path(tape.scope));
}

void Builder::make_untied(const Shape& shape, const char* name) const {
  if (untied == nullptr) return;
  const Category outer = std::exchange(tape.category, Category::kTemporaries);
  untied->tensors.push_back(tape.make(shape, untied->dtype, name));
  tape.category = outer;
}

Tensor Builder::in_use(const Tensor& parameter, const char* name) const {
  if (!saves()) return parameter;
  const Scope copy(tape, "modules_to_save");
  return tape.parameter(parameter.shape(), parameter.dtype(), name);
}

Linear::Linear(const Builder& b, const char* name, Expr in, Expr out, bool bias, LinearForm form)
    : Linear(b, name, in, out, bias, b.structure.dequantizes_forward, form) {}

Linear::Linear(const Builder& b, const char* name, Expr in, Expr out, bool bias, bool dequantizes)
    : Linear(b, name, in, out, bias, dequantizes, LinearForm::kLinear) {}

// Only what is torch.nn.Linear itself is packed (replace_with_bnb_linear in integrations/bitsandbytes.py, transformers
// 5.23), not a class of its own as Falcon's.
Linear::Linear(const Builder& b, const char* name, Expr in, Expr out, bool bias, bool dequantizes, LinearForm form)
    : name_(name), form_(form) {
  const Scope scope(b.tape, name);
  if (form == LinearForm::kLinear && !stays_whole(name, bias)) {
    quantized_ = QuantizedWeight(b, in, out, dequantizes);
    int8_ = Int8Weight(b, in, out);
  }
  if (!quantized_ && !int8_) weight_ = b.parameter({out, in}, "weight");
  const bool is_cast = quantized_ && b.tape.meta_parameters;  // before the first step, where it is gathered
  if (bias) bias_ = b.parameter({out}, is_cast ? b.structure.packed : b.structure.weights, "bias");
  lora_ = LoraPair(b, name, in, out, quantized_ || int8_ ? b.structure.quantize : Quantize::kNone);
}

Linear::Linear(const Builder& b, const char* name, const Tensor& weight, bool bias) : name_(name) {
  b.tape.share(name, weight);
  const Scope scope(b.tape, name);
  b.make_untied(weight.shape(), "weight");
  weight_ = b.in_use(weight, "weight");
  if (bias) bias_ = b.parameter({weight.size(0)}, "bias");
}

Linear::Linear(const char* name, Tensor weight, Tensor bias)
    : name_(name), weight_(std::move(weight)), bias_(std::move(bias)) {
  weight_.tape().share(name, weight_);
}

Tensor Linear::base(Tensor input) const {
  if (int8_) return int8_(std::move(input), bias_);
  if (quantized_) return quantized_(std::move(input), bias_);
  return form_ == LinearForm::kMatmul ? matmul_transposed(std::move(input), weight_, bias_)
                                      : linear(std::move(input), weight_, bias_);
}

Tensor Linear::operator()(Tensor input) const {
  const Scope scope(input.tape(), name_);
  if (!lora_) return base(std::move(input));
  const Tensor x = std::move(input);
  const auto base_layer = [&] {
    const Called module(x.tape(), kBaseLayer);
    return base(x);
  };
  return lora_(base_layer(), x);
}

Conv1D::Conv1D(const Builder& b, const char* name, Expr in, Expr out) : name_(name) {
  const Scope scope(b.tape, name);
  weight_ = b.parameter({in, out}, "weight");
  bias_ = b.parameter({out}, "bias");
  lora_ = LoraPair(b, name, in, out, Quantize::kNone);
}

Tensor Conv1D::operator()(Tensor input) const {
  const Scope scope(weight_.tape(), name_);
  if (!lora_) return conv1d(std::move(input), weight_, bias_);
  const Tensor x = std::move(input);
  const auto base_layer = [&] {
    const Called module(x.tape(), kBaseLayer);
    return conv1d(x, weight_, bias_);
  };
  return lora_(base_layer(), x);
}

Embedding::Embedding(const Builder& b, const char* name, Expr rows, Expr width) : name_(name) {
  const Scope scope(b.tape, name);
  own_ = b.tape.parameter({rows, width}, b.structure.weights, "weight", b.trains("weight"));
  weight_ = b.in_use(own_, "weight");
  mark_embedding(weight_);
}

Embedding::Embedding(const char* name, Tensor weight) : name_(name), own_(std::move(weight)), weight_(own_) {
  weight_.tape().share(name, weight_);
  mark_embedding(weight_);
}

Tensor Embedding::operator()(const Tensor& indices) const {
  const Scope scope(weight_.tape(), name_);
  return embedding(indices, weight_);
}

Tensor inputs_embeds(const Builder& b, Tensor output) {
  const bool of_text =
      (!b.description.has_fixed_length() || b.is_part) && b.structure.transformers == Transformers::kV523;
  const bool asked = of_text || b.structure.lora != nullptr;
  if (asked && b.structure.checkpointing != Checkpointing::kNone) b.tape.require_grad(output);
  return output;
}

LayerNorm::LayerNorm(const Builder& b, const char* name, Expr width, bool has_bias) : name_(name) {
  const Scope scope(b.tape, name);
  weight_ = b.norm_parameter({width}, "weight");
  if (has_bias) bias_ = b.norm_parameter({width}, "bias");
}

Tensor LayerNorm::operator()(const Tensor& input) const {
  const Scope scope(weight_.tape(), name_);
  return layer_norm(input, weight_, bias_);
}

Tensor fused_norm(const Builder& b, const Tensor& input, const Tensor& weight) {
  return fused_norm(b, input, weight, kernels_of(b.description.family).norm_in_place);
}

Tensor fused_norm(const Builder& b, const Tensor& input, const Tensor& weight, bool in_place) {
  return liger_rms_norm(input, weight, in_place, b.structure.multiprocessors);
}

RmsNorm::RmsNorm(const Builder& b, const char* name, Expr width) : b_(b), name_(name) {
  const Scope scope(b.tape, name);
  weight_ = b.norm_parameter({width}, "weight");
}

Tensor RmsNorm::operator()(const Tensor& input) const {
  const Scope scope(weight_.tape(), name_);
  if (b_.structure.kernels.norm == Kernel::kFused) return fused_norm(b_, input, weight_);
  if (b_.structure.kernels.norm == Kernel::kFoak) return foak_rms_norm(input, weight_);
  const DType input_dtype = input.dtype();
  Tensor hidden_states = to(input, DType::kFloat32);
  const Tensor variance = mean_last(pow_scalar(hidden_states));
  hidden_states = mul(hidden_states, rsqrt(add_scalar(variance)));
  return mul(weight_, to(hidden_states, input_dtype));
}

namespace {

// 0.5 * x * (1 + tanh(c * (x + 0.044715 * pow(x, 3)))), left to right as Python evaluates it.
Tensor gelu_new(const Tensor& input) {
  Tensor half = mul_scalar(input);
  Tensor cubic = mul_scalar(pow_scalar(input));
  Tensor inner = mul_scalar(add(input, std::move(cubic)));
  Tensor gate = add_scalar(tanh(std::move(inner)));
  return mul(std::move(half), std::move(gate));
}

// x * 0.5 * (1.0 + erf(x / sqrt(2.0)))
Tensor gelu_erf(const Tensor& input) {
  Tensor half = mul_scalar(input);
  Tensor gate = add_scalar(erf(div_scalar(input)));
  return mul(std::move(half), std::move(gate));
}

Tensor quick_gelu(const Tensor& input) { return mul(input, sigmoid(mul_scalar(input))); }

/// [B, kv heads, T, D] as [B, heads, T, D], copied.
Tensor repeat_kv(const Tensor& input, Expr groups) {
  if (is_one(groups)) return input;
  const KeptShape& s = input.shape();
  return merge_dims(expand(unsqueeze(input, 2), {s[0], s[1], groups, s[2], s[3]}), 1, 2);
}

AttentionOutput eager(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionInput& input) {
  const Tensor key_states = repeat_kv(key, input.groups);
  const Tensor value_states = repeat_kv(value, input.groups);
  Tensor weights = mul_scalar(matmul(query, transpose(key_states, 2, 3)));
  if (input.model.description.caps_attention) {
    weights = div_scalar(weights);
    weights = tanh(weights);
    weights = mul_scalar(weights);
  }
  if (input.mask) weights = add(weights, input.mask);
  if (input.softmax == SoftmaxDtype::kFullPrecision) {
    constexpr DType kFull = DType::kFloat32;
    weights = to(softmax(weights, &kFull), query.dtype());
  } else {
    weights = softmax(weights);
    if (input.softmax == SoftmaxDtype::kCastToValues) weights = to(weights, value.dtype());
  }
  weights = dropout(weights, input.model.description.attention_dropout);
  Tensor output = matmul(weights, value_states);
  output = transpose(output, 1, 2);
  return {contiguous(output), weights};
}

Tensor sdpa(Tensor query, Tensor key, Tensor value, const AttentionInput& input) {
  const Builder& model = input.model;
  const bool copies = model.structure.transformers == Transformers::kV448;  // all three, even where nothing repeats
  const bool repeats = model.structure.transformers <= Transformers::kV448;
  if (!is_one(input.groups) && (repeats || input.mask || model.structure.wide_heads)) {
    key = repeat_kv(key, input.groups);
    value = repeat_kv(value, input.groups);
  }
  if (copies) {
    query = contiguous(std::move(query));
    key = contiguous(std::move(key));
    value = contiguous(std::move(value));
  }
  const bool causal = input.causal && !input.mask && !model.structure.single_token;
  const KernelSizes sizes = {.head_dim = model.dims.padded_head_dim,
                             .seq = model.dims.padded_seq,
                             .bias_row = model.dims.bias_row,
                             .columns = model.dims.sdpa_columns,
                             .kernels = model.structure.attention_kernels};
  Tensor output =
      scaled_dot_product_attention(query, key, value, input.mask, model.description.attention_dropout, causal, sizes);
  return contiguous(transpose(std::move(output), 1, 2));
}

/// _is_packed_sequence: asked of a batch of one sequence with positions. It is none, so that only the question counts.
void ask_for_packing(const Builder& b) {
  if (!is_one(b.dims.batch) || b.structure.single_token) return;
  Tape& tape = b.tape;
  const Shape tokens = {b.dims.seq};
  Tensor range = tape.make(tokens, DType::kInt64, "arange");
  Tensor first = tape.make({}, DType::kInt64, "min");
  const Tensor increasing = tape.make(tokens, DType::kInt64, "add");
  range.reset();
  first.reset();
  Tensor difference = tape.make({1, tokens[0]}, DType::kInt64, "sub");
  Tensor distance = tape.make({1, tokens[0]}, DType::kInt64, "abs");
  difference.reset();
  const Tensor sum = tape.make({}, DType::kInt64, "sum");
  distance.reset();
  const Tensor packed = tape.make({}, DType::kBool, "_to_copy");
}

// The package's kernels want half precision: what is fp32 under autocast is cast, and lives on with its caller's names.
Tensor flash2(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionInput& input) {
  const Builder& model = input.model;
  const DType low = model.structure.compute;
  const auto cast = [&](const Tensor& x) { return query.dtype() == DType::kFloat32 ? to(x, low) : x; };
  const Tensor q = cast(transpose(query, 1, 2));
  const Tensor k = cast(transpose(key, 1, 2));
  Tensor states = transpose(value, 1, 2);
  const Expr width = value.size(-1);
  const bool is_narrow = !identical(width, query.size(-1));
  if (is_narrow) states = pad_last(std::move(states), query.size(-1));
  const Tensor v = cast(states);
  if (input.has_positions) ask_for_packing(model);
  Tensor output = flash_attention(
      q, k, v, {model.dims.padded_head_dim, model.dims.flash_columns, model.dims.flash_rows, input.causal});
  return is_narrow ? slice(std::move(output), -1, width) : output;
}

}  // namespace

Tensor activate(Activation activation, const Tensor& input) {
  const Called module(input.tape());
  switch (activation) {
    case Activation::kRelu:
      return relu(input);
    case Activation::kGelu:
      return gelu(input);
    case Activation::kGeluNew:
      return gelu_new(input);
    case Activation::kSilu:
      return silu(input);
    case Activation::kTanh:
      return tanh(input);
    case Activation::kSigmoid:
      return sigmoid(input);
    case Activation::kQuickGelu:
      return quick_gelu(input);
    case Activation::kGeluErf:
      return gelu_erf(input);
    case Activation::kSquaredRelu: {
      const Tensor relu_applied = relu(input);
      return pow_scalar(relu_applied);
    }
  }
  return input;
}

AttentionOutput attend(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionInput& input) {
  if (input.model.structure.attention == Attention::kEager) return eager(query, key, value, input);
  if (input.model.structure.attention == Attention::kFlash2) return {flash2(query, key, value, input), Tensor()};
  return {sdpa(query, key, value, input), Tensor()};
}

Tensor as_heads(Tensor input, Expr heads, Expr head_dim) {
  return transpose(split_dim(std::move(input), 2, heads, head_dim), 1, 2);
}

Tensor from_heads(Tensor input) { return contiguous(merge_dims(std::move(input), 2, 2)); }

}  // namespace peakmem
