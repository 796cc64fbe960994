// MPT: ALiBi stands for positions, and linear layers and norms have no biases (transformers 5.23,
// models/mpt/modeling_mpt.py).
#include <bit>

#include "family/lm.h"
#include "model/masks.h"
#include "trace/masked_fill.h"
#include "trace/sinks.h"

namespace peakmem {
namespace {

/// What all layers are told: the bias [heads, 1, positions] and which keys are hidden.
struct Told {
  Tensor alibi;
  Tensor mask;
};

/// MptAttention.
struct MptAttention {
  const Builder& b;
  Linear Wqkv, out_proj;

  explicit MptAttention(const Builder& builder)
      : b(builder),
        Wqkv(b, "Wqkv", b.dims.hidden, 3 * b.dims.hidden, false),
        out_proj(b, "out_proj", b.dims.hidden, b.dims.hidden, false) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Told& told) const {
    const Scope scope(b.tape, "attn");
    const Dims& d = b.dims;
    Tensor mixed_qkv = Wqkv(hidden_states);
    if (b.description.clips_projections) mixed_qkv = clamp(std::move(mixed_qkv), true);
    auto [query, key, value] = split_in_three(mixed_qkv, 2);
    query = as_heads(std::move(query), d.heads, d.head_dim);
    key = as_heads(std::move(key), d.heads, d.head_dim);
    value = as_heads(std::move(value), d.heads, d.head_dim);
    update_cache(b, key, value);
    Tensor scores = mul_scalar(matmul(query, transpose(key, 2, 3)));
    const Tensor position_bias = slice(told.alibi, 2, d.seq);
    scores = add(scores, position_bias);
    scores = masked_fill(scores, told.mask);
    Tensor weights = to(softmax(to(scores, DType::kFloat32)), value.dtype());
    weights = dropout(weights, b.description.attention_dropout);
    Tensor context = matmul(weights, value);
    context = from_heads(contiguous(transpose(context, 1, 2)));
    Tensor output = out_proj(context);
    return {std::move(output), std::move(weights)};
  }
};

/// MptMLP.
struct MptMlp {
  const Builder& b;
  Linear up_proj, down_proj;

  explicit MptMlp(const Builder& builder)
      : b(builder),
        up_proj(b, "up_proj", b.dims.hidden, b.dims.ffn, false),
        down_proj(b, "down_proj", b.dims.ffn, b.dims.hidden, false) {}

  Tensor operator()(const Tensor& input, const Tensor& residual) const {
    const Scope scope(b.tape, "ffn");
    const Tensor hidden_states = gelu(up_proj(input));
    const Tensor intermediate_output = down_proj(hidden_states);
    const Tensor output = dropout(intermediate_output, b.description.hidden_dropout);
    return add(output, residual);
  }
};

/// MptBlock.
struct MptBlock {
  const Builder& b;
  LayerNorm norm_1;
  MptAttention attn;
  LayerNorm norm_2;
  MptMlp ffn;

  explicit MptBlock(const Builder& builder)
      : b(builder),
        norm_1(b, "norm_1", b.dims.hidden, false),
        attn(named<MptAttention>(b, "attn")),
        norm_2(b, "norm_2", b.dims.hidden, false),
        ffn(named<MptMlp>(b, "ffn")) {}

  AttentionOutput operator()(const Tensor& input, const Told& told) const {
    Tensor layernorm_output = norm_1(input);
    AttentionOutput attention = attn(layernorm_output, told);
    const Tensor hidden_states = add(dropout(attention.output, b.description.hidden_dropout), input);
    layernorm_output = norm_2(hidden_states);
    Tensor output = ffn(layernorm_output, hidden_states);
    return {std::move(output), std::move(attention.weights)};
  }
};

/// MptModel.
class MptModel {
 public:
  static constexpr const char* kName = "transformer";

  explicit MptModel(const Builder& builder)
      : b_(builder),
        wte_(in_outer_unit(b_, Outer::kEmbedding,
                           [this] { return Embedding(b_, "wte", b_.dims.vocab, b_.dims.hidden); })),
        blocks_(b_, b_.description.runs, b_.dims.runs, [this](bool) { return named<MptBlock>(b_, "blocks.*"); }),
        norm_f_(in_outer_unit(b_, Outer::kNorm, [this] { return LayerNorm(b_, "norm_f", b_.dims.hidden, false); })) {}

  const Tensor& embedding_weight() const { return wte_.weight(); }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b_.tape, kName);
    Tensor embedded = call_in_outer_unit(b_.tape, Outer::kEmbedding, [&] { return wte_(input_ids); });
    const Tensor inputs_embeds = peakmem::inputs_embeds(b_, std::move(embedded));
    Tensor hidden_states = inputs_embeds;
    Told told;
    told.alibi = bias();
    told.mask = hidden_keys(inputs_embeds.dtype());
    Tensor weights;  // that the last layer handed on
    blocks_.run([&](const MptBlock& block) {
      const Scope layer(b_.tape, "blocks.*");
      Told own = told;
      if (b_.structure.casts_inputs) own.alibi = to(told.alibi, b_.structure.weights);
      AttentionOutput output =
          run_layer(b_, [&block, own](const Tensor& input) { return block(input, own); }, hidden_states);
      hidden_states = std::move(output.output);
      weights = std::move(output.weights);
    });
    return call_in_outer_unit(b_.tape, Outer::kNorm, [&] { return norm_f_(hidden_states); });
  }

 private:
  /// build_mpt_alibi_tensor: for every position there may be; of more slopes than heads those that are taken.
  Tensor bias() const {
    const NoGrad no_grad(b_.tape);
    Tape& tape = b_.tape;
    const Dims& d = b_.dims;
    const int64_t power = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(b_.description.heads)));
    const Tensor range = tape.make({1, 1, 1, d.positions}, DType::kInt32, "arange");
    Tensor base = tape.make({power}, DType::kInt64, "arange");
    base = tape.make({power}, DType::kFloat32, "_to_copy");
    base = mul_scalar(base);
    Tensor power_of_two = tape.make({power}, DType::kFloat32, "pow");
    Tensor slopes = tape.make({power}, DType::kFloat32, "reciprocal");
    if (power != b_.description.heads) slopes = tape.make({power}, DType::kFloat32, "cat");
    power_of_two.reset();
    return tape.make({d.heads, 1, d.positions}, DType::kFloat32, "mul");
  }

  /// The causal mask as booleans.
  Tensor hidden_keys(DType dtype) const {
    const Tensor mask = causal_mask(b_, false, dtype);
    return b_.tape.make(mask.shape(), DType::kBool, "_to_copy");
  }

  const Builder& b_;
  Embedding wte_;
  Layers<MptBlock> blocks_;
  LayerNorm norm_f_;
};

void read_attention(Fields& fields, Description& d) {
  if (!fields.has("attn_config")) return;
  Fields attention(*fields.find("attn_config"));
  d.attention_dropout = d.hidden_dropout = attention.probability("attn_pdrop", 0.0);
  const Value* bound = attention.find("clip_qkv");
  d.clips_projections = bound != nullptr && bound->real != 0;
  if (attention.error()) fields.fail("attn_config", attention.error()->problem);
}

Description read(Fields& fields) {
  Description d;
  d.vocab = fields.size("vocab_size", 50368);
  d.hidden = fields.size("d_model", 2048, "hidden_size");
  d.layers = fields.size("n_layers", 24, "num_hidden_layers");
  d.heads = d.kv_heads = fields.size("n_heads", 16, "num_attention_heads");
  d.positions = fields.size("max_seq_len", 2048);
  d.ffn = 4 * d.hidden;
  d.ffn_is_four_hidden = true;
  d.head_dim = d.hidden / d.heads;
  d.token_dropout = read_token_dropout(fields, 0.1);
  d.tied = fields.flag("tie_word_embeddings", true);
  d.eager_only = d.returns_weights = d.learned_positions = true;
  read_attention(fields, d);
  if (d.hidden % d.heads != 0)
    fields.fail("n_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  fields.ignore({"expansion_ratio", "learned_pos_emb", "logit_scale", "no_bias", "embedding_fraction", "norm_type",
                 "init_device", "resid_pdrop", "emb_pdrop", "verbose", "init_config", "tokenizer_name"});
  return d;
}

constexpr std::array kTasks = {Task::kCausalLm, Task::kFeatureExtraction, Task::kSequenceClassification,
                               Task::kTokenClassification, Task::kQuestionAnswering};
constexpr SizeNames kSizes = {"n_layers", "n_heads", "d_model", nullptr};

}  // namespace

const Family kMpt = {"mpt",  "MPT", "transformers 5.23, models/mpt", Task::kCausalLm, kTasks, read, build_lm<MptModel>,
                     &kSizes};

}  // namespace peakmem
