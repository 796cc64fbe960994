// GPT-2 (transformers 5.23, models/gpt2/modeling_gpt2.py).
#include <array>

#include "model/family.h"
#include "model/masks.h"

namespace peakmem {
namespace {

/// GPT2Attention.
struct Attention2 {
  const Builder& b;
  Conv1D c_attn;
  Conv1D c_proj;

  explicit Attention2(const Builder& builder)
      : b(builder),
        c_attn(b, "c_attn", b.dims.hidden, 3 * b.dims.hidden),
        c_proj(b, "c_proj", b.dims.hidden, b.dims.hidden) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Tensor& mask) const {
    const Scope scope(b.tape, "attn");
    const Dims& d = b.dims;
    auto [query, key, value] = split_in_three(c_attn(hidden_states), 2);
    key = as_heads(std::move(key), d.heads, d.head_dim);
    value = as_heads(std::move(value), d.heads, d.head_dim);
    query = as_heads(std::move(query), d.heads, d.head_dim);
    AttentionOutput attention = upcasts() ? upcast_and_reordered(query, key, value, mask)
                                          : attend(query, key, value, {b, 1, mask, true, SoftmaxDtype::kCastToValues});
    attention.output = from_heads(attention.output);
    attention.output = c_proj(attention.output);
    attention.output = dropout(attention.output, b.description.hidden_dropout);
    return attention;
  }

  bool upcasts() const { return b.structure.attention == Attention::kEager && b.description.upcast_attention; }

  // _upcast_and_reordered_attn: scores by baddbmm in fp32, autocast off.
  AttentionOutput upcast_and_reordered(const Tensor& query, const Tensor& key, const Tensor& value,
                                       const Tensor& mask) const {
    Tensor weights = scores(query, key);
    if (mask) weights = add(weights, mask);
    weights = softmax(weights);
    weights = to(weights, value.dtype());
    weights = dropout(weights, b.description.attention_dropout);
    Tensor output = matmul(weights, value);
    output = transpose(output, 1, 2);
    return {output, weights};
  }

  Tensor scores(const Tensor& query, const Tensor& key) const {
    const bool autocast = std::exchange(b.tape.autocast.enabled, false);
    const Tensor preallocated =
        b.tape.make({b.dims.batch * b.dims.heads, b.dims.seq, b.dims.seq}, DType::kFloat32, "empty");
    const Tensor q = merge_dims(query, 0, 2);
    const Tensor k = merge_dims(transpose(key, 2, 3), 0, 2);
    Tensor product = bmm(to(q, DType::kFloat32), to(k, DType::kFloat32));
    product = split_dim(product, 0, b.dims.batch, b.dims.heads);
    b.tape.autocast.enabled = autocast;
    return product;
  }
};

/// GPT2MLP.
struct Mlp {
  const Builder& b;
  Conv1D c_fc;
  Conv1D c_proj;

  explicit Mlp(const Builder& builder)
      : b(builder), c_fc(b, "c_fc", b.dims.hidden, b.dims.ffn), c_proj(b, "c_proj", b.dims.ffn, b.dims.hidden) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, "mlp");
    Tensor hidden_states = c_fc(input);
    hidden_states = activate(b.description.activation, hidden_states);
    hidden_states = c_proj(hidden_states);
    hidden_states = dropout(hidden_states, b.description.hidden_dropout);
    return hidden_states;
  }
};

/// GPT2Block.
struct Block {
  LayerNorm ln_1;
  Attention2 attn;
  LayerNorm ln_2;
  Mlp mlp;

  explicit Block(const Builder& b)
      : ln_1(b, "ln_1", b.dims.hidden),
        attn(named<Attention2>(b, "attn")),
        ln_2(b, "ln_2", b.dims.hidden),
        mlp(named<Mlp>(b, "mlp")) {}

  Tensor operator()(const Tensor& input, const Tensor& mask) const {
    Tensor residual = input;
    Tensor hidden_states = ln_1(input);
    const AttentionOutput attention = attn(hidden_states, mask);
    hidden_states = add(attention.output, residual);
    residual = hidden_states;
    hidden_states = ln_2(hidden_states);
    const Tensor feed_forward = mlp(hidden_states);
    hidden_states = add(residual, feed_forward);
    return hidden_states;
  }
};

/// GPT2Model.
struct Transformer {
  const Builder& b;
  Embedding wte;
  Embedding wpe;
  Layers<Block> h;
  LayerNorm ln_f;

  explicit Transformer(const Builder& builder)
      : b(builder),
        wte(b, "wte", b.dims.vocab, b.dims.hidden),
        wpe(b, "wpe", b.dims.positions, b.dims.hidden),
        h(b, b.description.runs, b.dims.runs, [this](bool) { return named<Block>(b, "h.*"); }),
        ln_f(b, "ln_f", b.dims.hidden) {}

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b.tape, "transformer");
    const Tensor inputs_embeds = peakmem::inputs_embeds(b, wte(input_ids));
    const Tensor positions = position_ids(b);
    const Tensor position_embeds = wpe(positions);
    Tensor hidden_states = add(inputs_embeds, position_embeds);
    const Tensor mask = causal_mask(b, false, inputs_embeds.dtype());
    hidden_states = dropout(hidden_states, b.description.embedding_dropout);
    h.run([&](const Block& block) {
      const Scope layer(b.tape, "h.*");
      hidden_states = checkpoint(
          b.structure.checkpointing,
          [&block, positions](const Tensor& input, const Tensor& seen) { return block(input, seen); }, hidden_states,
          mask);
    });
    return ln_f(hidden_states);
  }
};

/// GPT2LMHeadModel.
class LmHead : public Model {
 public:
  explicit LmHead(const Builder& b)
      : b_(b), transformer_(named<Transformer>(b_, "transformer")), lm_head_(head(b_, transformer_)) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor hidden_states = transformer_(batch.input_ids);
    if (b_.structure.kernels.loss != LossKernel::kHf)
      return {fused_lm_loss(b_, hidden_states, lm_head_.weight(), batch.labels), Tensor()};
    const Tensor logits = lm_head_(hidden_states);
    return {causal_lm_loss(b_, logits, batch), logits};
  }

 private:
  static Linear head(const Builder& b, const Transformer& transformer) {
    return b.description.tied ? Linear("lm_head", transformer.wte.weight(), Tensor())
                              : Linear(b, "lm_head", b.dims.hidden, b.dims.vocab, false);
  }

  Builder b_;
  Transformer transformer_;
  Linear lm_head_;
};

/// GPT2ForSequenceClassification.
class Classifier : public Model {
 public:
  explicit Classifier(const Builder& b)
      : b_(b),
        transformer_(named<Transformer>(b_, "transformer")),
        score_(b_, "score", b.dims.hidden, b.dims.labels, false) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor hidden_states = transformer_(batch.input_ids);
    const Tensor logits = score_(hidden_states);
    return {last_token_loss(b_, logits, batch.input_ids, batch.labels), logits};
  }

 private:
  Builder b_;
  Transformer transformer_;
  Linear score_;
};

Description read(Fields& fields) {
  Description d;
  d.vocab = fields.size("vocab_size", 50257);
  d.positions = fields.size("n_positions", 1024, "max_position_embeddings");
  d.hidden = fields.size("n_embd", 768, "hidden_size");
  d.layers = fields.size("n_layer", 12, "num_hidden_layers");
  d.heads = d.kv_heads = fields.size("n_head", 12, "num_attention_heads");
  const auto inner = fields.optional_size("n_inner");
  d.ffn = inner.value_or(4 * d.hidden);
  d.ffn_is_four_hidden = !inner;
  d.activation = read_activation(fields, "activation_function", "gelu_new");
  d.hidden_dropout = fields.probability("resid_pdrop", 0.1);
  d.embedding_dropout = fields.probability("embd_pdrop", 0.1);
  d.attention_dropout = fields.probability("attn_pdrop", 0.1);
  d.upcast_attention = fields.flag("reorder_and_upcast_attn", false);
  d.tied = fields.flag("tie_word_embeddings", true);
  d.learned_positions = true;
  fields.refuse_flag("add_cross_attention", false, "adds cross attention");
  fields.ignore({"scale_attn_weights", "scale_attn_by_inverse_layer_idx", "summary_type", "summary_use_proj",
                 "summary_activation", "summary_proj_to_labels", "summary_first_dropout", "n_ctx"});
  if (d.hidden % d.heads != 0)
    fields.fail("n_head", std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  d.head_dim = d.hidden / d.heads;
  return d;
}

constexpr std::array kTasks = {Task::kCausalLm, Task::kSequenceClassification};

std::unique_ptr<Model> build(const Builder& b) {
  if (b.description.task == Task::kSequenceClassification) return std::make_unique<Classifier>(b);
  return std::make_unique<LmHead>(b);
}

constexpr SizeNames kSizes = {"n_layer", "n_head", "n_embd", "n_inner"};

}  // namespace

const Family kGpt2 = {"gpt2", "GPT-2", "transformers 5.23, models/gpt2", Task::kCausalLm, kTasks, read, build, &kSizes};

}  // namespace peakmem
