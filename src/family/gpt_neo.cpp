// GPT-Neo: learned positions, scores in fp32, and a table in every layer of what each token may see: all before it, or
// in every other layer those within a window (transformers 5.23, models/gpt_neo/modeling_gpt_neo.py).
#include "family/gpt2.h"
#include "family/lm.h"
#include "model/masks.h"

namespace peakmem {
namespace {

/// GPTNeoSelfAttention.
struct NeoAttention {
  const Builder& b;
  Tensor bias;
  Linear k_proj, v_proj, q_proj, out_proj;

  explicit NeoAttention(const Builder& builder)
      : b(builder),
        bias(b.tape.buffer({1, 1, b.dims.positions, b.dims.positions}, DType::kBool, "bias")),
        k_proj(b, "k_proj", b.dims.hidden, b.dims.hidden, false),
        v_proj(b, "v_proj", b.dims.hidden, b.dims.hidden, false),
        q_proj(b, "q_proj", b.dims.hidden, b.dims.hidden, false),
        out_proj(b, "out_proj", b.dims.hidden, b.dims.hidden, true) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Tensor& mask) const {
    const Scope outer(b.tape, "attn");
    const Scope scope(b.tape, "attention");
    const Dims& d = b.dims;
    Tensor query = q_proj(hidden_states);
    Tensor key = k_proj(hidden_states);
    Tensor value = v_proj(hidden_states);
    query = as_heads(std::move(query), d.heads, d.head_dim);
    key = as_heads(std::move(key), d.heads, d.head_dim);
    value = as_heads(std::move(value), d.heads, d.head_dim);
    update_cache(b, key, value);
    AttentionOutput attention = weigh(query, key, value, mask);
    attention.output = from_heads(contiguous(transpose(attention.output, 1, 2)));
    attention.output = out_proj(attention.output);
    attention.output = dropout(attention.output, b.description.hidden_dropout);
    return attention;
  }

 private:
  /// _attn.
  AttentionOutput weigh(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask) const {
    const Dims& d = b.dims;
    const Tensor full_query = to(query, DType::kFloat32);
    const Tensor full_key = to(key, DType::kFloat32);
    Tensor weights = matmul(full_query, transpose(full_key, 2, 3));
    const Tensor seen = slice(slice(bias, 2, d.seq), 3, d.seq);
    weights = where(seen, weights);
    if (mask) weights = add(weights, mask);
    weights = softmax(weights);
    weights = to(weights, value.dtype());
    weights = dropout(weights, b.description.attention_dropout);
    Tensor output = matmul(weights, value);
    return {std::move(output), weights};
  }
};

using NeoMlp = Gpt2Mlp<BiasedLinear>;

/// What GPTNeoAttention holds its attention as.
struct HeldAttention {
  NeoAttention attention;
  explicit HeldAttention(const Builder& b) : attention(named<NeoAttention>(b, "attention")) {}
};

/// GPTNeoBlock.
struct NeoBlock {
  LayerNorm ln_1;
  HeldAttention attn;
  LayerNorm ln_2;
  NeoMlp mlp;

  explicit NeoBlock(const Builder& b)
      : ln_1(b, "ln_1", b.dims.hidden),
        attn(named<HeldAttention>(b, "attn")),
        ln_2(b, "ln_2", b.dims.hidden),
        mlp(named<NeoMlp>(b, "mlp")) {}

  AttentionOutput operator()(const Tensor& input, const Tensor& mask) const {
    Tensor residual = input;
    Tensor hidden_states = ln_1(input);
    AttentionOutput attended = attn.attention(hidden_states, mask);
    hidden_states = add(attended.output, residual);
    residual = hidden_states;
    hidden_states = ln_2(hidden_states);
    const Tensor feed_forward_hidden_states = mlp(hidden_states);
    hidden_states = add(residual, feed_forward_hidden_states);
    return {std::move(hidden_states), std::move(attended.weights)};
  }
};

/// GPTNeoModel.
class NeoModel {
 public:
  static constexpr const char* kName = "transformer";

  explicit NeoModel(const Builder& builder)
      : b_(builder),
        wte_(in_outer_unit(b_, Outer::kEmbedding,
                           [this] { return Embedding(b_, "wte", b_.dims.vocab, b_.dims.hidden); })),
        wpe_(b_, "wpe", b_.dims.positions, b_.dims.hidden),
        h_(b_, b_.description.runs, b_.dims.runs, [this](bool) { return named<NeoBlock>(b_, "h.*"); }),
        ln_f_(in_outer_unit(b_, Outer::kNorm, [this] { return LayerNorm(b_, "ln_f", b_.dims.hidden); })) {}

  const Tensor& embedding_weight() const { return wte_.weight(); }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b_.tape, kName);
    Tensor embedded = call_in_outer_unit(b_.tape, Outer::kEmbedding, [&] { return wte_(input_ids); });
    const Tensor inputs_embeds = peakmem::inputs_embeds(b_, std::move(embedded));
    const Tensor positions = position_ids(b_);
    const Tensor mask = causal_mask(b_, false, inputs_embeds.dtype());
    const Tensor position_embeds = wpe_(positions);
    Tensor hidden_states = add(inputs_embeds, position_embeds);
    hidden_states = dropout(hidden_states, b_.description.embedding_dropout);
    Tensor weights;  // that the last layer handed on
    h_.run([&](const NeoBlock& block) {
      const Scope layer(b_.tape, "h.*");
      const bool casts = b_.structure.casts_inputs && mask;
      const Tensor own = casts ? to(mask, b_.structure.weights) : mask;
      AttentionOutput output =
          run_layer(b_, [&block, own](const Tensor& input) { return block(input, own); }, hidden_states);
      hidden_states = std::move(output.output);
      weights = std::move(output.weights);
    });
    return call_in_outer_unit(b_.tape, Outer::kNorm, [&] { return ln_f_(hidden_states); });
  }

 private:
  const Builder& b_;
  Embedding wte_, wpe_;
  Layers<NeoBlock> h_;
  LayerNorm ln_f_;
};

/// attention_types: which kinds alternate how often; transformers checks that they are as many as layers.
void check_kinds(Fields& fields, const Description& d) {
  int64_t kinds = 24;  // of what is taken where nothing is said
  if (fields.has("attention_types")) {
    kinds = 0;
    for (const Value& item : fields.find("attention_types")->items)
      if (item.items.size() == 2) kinds += static_cast<int64_t>(item.items[0].items.size()) * item.items[1].integer;
  }
  if (kinds != d.layers)
    fields.fail(
        "attention_types",
        "are " + std::to_string(kinds) + " for " + std::to_string(d.layers) + " layers, at which transformers raises",
        "such as [[[\"global\", \"local\"], " + std::to_string(d.layers / 2) + "]]");
}

Description read(Fields& fields) {
  Description d;
  d.vocab = fields.size("vocab_size", 50257);
  d.positions = fields.size("max_position_embeddings", 2048);
  d.hidden = fields.size("hidden_size", 2048);
  d.layers = fields.size("num_layers", 24, "num_hidden_layers");
  d.heads = d.kv_heads = fields.size("num_heads", 16, "num_attention_heads");
  const auto inner = fields.optional_size("intermediate_size");
  d.ffn = inner.value_or(4 * d.hidden);
  d.ffn_is_four_hidden = !inner;
  d.activation = read_activation(fields, "activation_function", "gelu_new");
  d.hidden_dropout = fields.probability("resid_dropout", 0.0);
  d.embedding_dropout = fields.probability("embed_dropout", 0.0);
  d.attention_dropout = fields.probability("attention_dropout", 0.0);
  d.token_dropout = fields.probability("classifier_dropout", 0.1);
  d.tied = fields.flag("tie_word_embeddings", true);
  d.head_dim = d.hidden / d.heads;
  d.eager_only = d.returns_weights = d.learned_positions = true;
  check_kinds(fields, d);
  if (d.hidden % d.heads != 0)
    fields.fail("num_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  fields.ignore({"window_size", "attention_layers", "summary_type", "summary_use_proj", "summary_activation",
                 "summary_proj_to_labels", "summary_first_dropout"});
  return d;
}

constexpr std::array kTasks = {Task::kCausalLm, Task::kFeatureExtraction, Task::kSequenceClassification,
                               Task::kTokenClassification, Task::kQuestionAnswering};
constexpr SizeNames kSizes = {"num_layers", "num_heads", "hidden_size", "intermediate_size"};

}  // namespace

const Family kGptNeo = {"gpt_neo",          "GPT-Neo", "transformers 5.23, models/gpt_neo",
                        Task::kCausalLm,    kTasks,    read,
                        build_lm<NeoModel>, &kSizes};

}  // namespace peakmem
