// T5, T5 v1.1 and Flan-T5, mT5, and umT5, whose layers have biases of their own (transformers 5.23,
// models/t5/modeling_t5.py, models/mt5/modeling_mt5.py and models/umt5/modeling_umt5.py).
#include <array>
#include <optional>

#include "family/family.h"
#include "family/t5_checkpoint.h"
#include "model/cache.h"
#include "model/masks.h"
#include "model/t5_attention.h"
#include "model/target.h"
#include "size/wording.h"
#include "trace/clamp.h"

namespace peakmem {
namespace {

/// A linear layer of _keep_in_fp32_modules: never quantized, and kept in fp32 where the model is fp16.
struct WholeLinear {
  const char* name;
  Tensor weight;
  LoraPair lora;

  WholeLinear(const Builder& b, const char* own_name, Expr in, Expr out) : name(own_name) {
    const Scope scope(b.tape, name);
    Structure whole = b.structure;
    whole.quantize = Quantize::kNone;
    const bool upcast = whole.weights == DType::kFloat16 && !whole.casts_weights;
    if (upcast) whole.weights = DType::kFloat32;
    const Builder builder{b.tape, b.description, b.dims, whole};
    weight = builder.parameter({out, in}, "weight");
    lora = LoraPair(builder, name, in, out, Quantize::kNone);
  }

  Tensor operator()(Tensor input) const {
    const Scope scope(weight.tape(), name);
    if (!lora) return linear(std::move(input), weight, Tensor());
    const Tensor x = std::move(input);
    return lora(linear(x, weight, Tensor()), x);
  }
};

/// T5DenseActDense, or T5DenseGatedActDense where `gated`.
struct Dense {
  const Builder& b;
  Linear wi;
  std::optional<Linear> wi_1;
  WholeLinear wo;

  explicit Dense(const Builder& builder)
      : b(builder),
        wi(b, b.description.gated ? "wi_0" : "wi", b.dims.hidden, b.dims.ffn, false),
        wi_1(gate(b)),
        wo(b, "wo", b.dims.ffn, b.dims.hidden) {}

  static std::optional<Linear> gate(const Builder& b) {
    return b.description.gated ? std::optional<Linear>(std::in_place, b, "wi_1", b.dims.hidden, b.dims.ffn, false)
                               : std::nullopt;
  }

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, "DenseReluDense");
    Tensor hidden_states, hidden_gelu, hidden_linear;
    if (wi_1) {
      hidden_gelu = activate(b.description.activation, wi(input));
      hidden_linear = (*wi_1)(input);
      hidden_states = mul(hidden_gelu, hidden_linear);
    } else {
      hidden_states = wi(input);
      hidden_states = activate(b.description.activation, hidden_states);
    }
    hidden_states = dropout(hidden_states, b.description.hidden_dropout);
    hidden_states = to(hidden_states, wo.weight.dtype());  // to the weight's dtype, under autocast too
    hidden_states = wo(hidden_states);
    return hidden_states;
  }
};

/// T5LayerFF.
struct FeedForward {
  const Builder& b;
  const char* name;
  Dense dense;
  T5LayerNorm layer_norm;

  FeedForward(const Builder& builder, const char* own_name)
      : b(builder), name(own_name), dense(named<Dense>(b, "DenseReluDense")), layer_norm(b, "layer_norm") {}

  Tensor operator()(const Tensor& hidden_states) const {
    const Scope scope(b.tape, name);
    Tensor forwarded_states = layer_norm(hidden_states);
    forwarded_states = dense(forwarded_states);
    return add(hidden_states, dropout(forwarded_states, b.description.hidden_dropout));
  }
};

/// What all blocks of a stack are told.
struct StackContext {
  Tensor mask;
  Tensor encoder_hidden_states;
};

/// T5Block.
struct Block {
  T5AttentionLayer self_attention;
  std::optional<T5AttentionLayer> cross_attention;
  FeedForward ff;

  Block(const Builder& b, const Dims* encoder, bool is_first)
      : self_attention(b, encoder != nullptr, is_first),
        cross_attention(encoder == nullptr ? std::nullopt
                                           : std::optional<T5AttentionLayer>(std::in_place, b, *encoder)),
        ff(feed_forward(b, encoder == nullptr ? "layer.1" : "layer.2")) {}

  static FeedForward feed_forward(const Builder& b, const char* name) { return named<FeedForward>(b, name, name); }

  T5BlockState operator()(const Tensor& input, const T5BlockState& before, const StackContext& context) const {
    T5AttentionOutput attended = self_attention(input, {context.mask, before.position_bias, {}});
    T5BlockState state = {std::move(attended.output), std::move(attended.position_bias), {}};
    Tensor clamp_value;
    clamp_half(state.hidden_states, clamp_value);
    if (cross_attention) {
      attended = (*cross_attention)(state.hidden_states,
                                    {{}, before.encoder_decoder_position_bias, context.encoder_hidden_states});
      state.hidden_states = std::move(attended.output);
      state.encoder_decoder_position_bias = std::move(attended.position_bias);
      clamp_half(state.hidden_states, clamp_value);
    }
    state.hidden_states = ff(state.hidden_states);
    clamp_half(state.hidden_states, clamp_value);
    return state;
  }
};

/// The last block's gradient of the position bias is what its kernel made, and with a batch of 1 a view or another's
/// too; so the block before adds to it in a new tensor, and only those before that in place.
int64_t unlike_at_the_end(const Dims& dims) { return is_one(dims.batch) ? 2 : 1; }

/// T5Stack: the encoder, or the decoder of an encoder with such sizes.
struct Stack {
  const Builder& b;
  bool is_decoder;
  bool shares_biases;  // with blocks behind the first
  const Embedding& embed_tokens;
  Layers<Block> blocks;
  T5LayerNorm final_layer_norm;

  Stack(const Builder& builder, const Embedding& shared, const Dims* encoder, const std::vector<LayerRun>& runs)
      : b(builder),
        is_decoder(encoder != nullptr),
        shares_biases(runs.size() > 1),
        embed_tokens(shared),
        blocks(
            b, runs, b.dims.runs,
            [&, is_first = true](bool) mutable {
              const Scope scope(b.tape, "block.*");
              return Block(b, encoder, std::exchange(is_first, false) || has_own_biases(b));
            },
            has_own_biases(b) ? 1 : unlike_at_the_end(b.dims)),
        final_layer_norm(b, "final_layer_norm") {}

  /// `has_mask`: whether the encoder's input comes with an attention mask.
  Tensor operator()(const Tensor& input_ids, const Tensor& encoder_hidden_states, bool has_mask) const {
    const Scope scope(b.tape, is_decoder ? "decoder" : "encoder");
    const Tensor inputs_embeds = peakmem::inputs_embeds(b, embed_tokens(input_ids));
    const StackContext context = {is_decoder ? causal_mask(b, false, inputs_embeds.dtype(), false) : Tensor(),
                                  encoder_hidden_states};
    if (has_mask) look_for_padding(is_decoder ? encoder_hidden_states : inputs_embeds);
    T5BlockState state;
    state.hidden_states = dropout(inputs_embeds, b.description.hidden_dropout);
    const auto gradients = std::make_shared<std::array<Tensor, 2>>();
    const bool reentrant = b.structure.checkpointing == Checkpointing::kFullReentrant;
    blocks.run([&](const Block& block) {
      const Scope named_block(b.tape, "block.*");
      if (has_own_biases(b))
        run_alone(block, state, context);
      else if (reentrant)
        run_reentrant(block, state, context, gradients);
      else
        run(block, state, context);
    });
    state.hidden_states = final_layer_norm(state.hidden_states);
    state.hidden_states = dropout(state.hidden_states, b.description.hidden_dropout);
    return state.hidden_states;
  }

  // A checkpointed block that runs again has nobody to hand its biases to. All blocks behind the first hold the first
  // one's biases as arguments; the first holds them too and lets them go when it runs again, which is when the second
  // has let go of them: so they go in the turn they came in, not in one that stands for many.
  void run(const Block& block, T5BlockState& state, const StackContext& context) const {
    const auto after = std::make_shared<T5BlockState>();
    const auto kept = std::make_shared<T5BlockState>();
    T5BlockState before = {{}, state.position_bias, state.encoder_decoder_position_bias};
    const bool is_first = !before.position_bias;
    const auto call = [&block, before, context, kept, to = std::weak_ptr<T5BlockState>(after)](const Tensor& input,
                                                                                               const Tensor&) {
      *kept = {};
      T5BlockState result = block(input, before, context);
      if (const auto first_run = to.lock()) *first_run = result;
      return std::move(result.hidden_states);
    };
    const Tensor hidden_states = checkpoint(b.structure.checkpointing, call, state.hidden_states);
    if (is_first && shares_biases) *kept = {{}, after->position_bias, after->encoder_decoder_position_bias};
    state = std::move(*after);
  }

  /// A block that hands on hidden states and nothing else.
  void run_alone(const Block& block, T5BlockState& state, const StackContext& context) const {
    const CrossLayerFunction call = [&block](const Tensor& input, const Tensor& mask, const Tensor& encoder) {
      return block(input, {}, {mask, encoder}).hidden_states;
    };
    state.hidden_states =
        checkpoint(b.structure.checkpointing, call, state.hidden_states, context.mask, context.encoder_hidden_states);
  }

  // The first holds its biases as above.
  void run_reentrant(const Block& block, T5BlockState& state, const StackContext& context,
                     const T5BiasGradients& gradients) const {
    const auto kept = std::make_shared<T5BlockState>();
    const bool is_first = !state.position_bias;
    const auto call = [&block, kept](const T5BlockArguments& arguments) {
      *kept = {};
      return block(arguments.before.hidden_states, arguments.before, {arguments.mask, arguments.encoder_hidden_states});
    };
    state = checkpoint_t5_block(call, {state, context.mask, context.encoder_hidden_states}, gradients);
    if (is_first && shares_biases) *kept = {{}, state.position_bias, state.encoder_decoder_position_bias};
  }
};

/// T5ForConditionalGeneration.
class ConditionalGeneration : public Model {
 public:
  explicit ConditionalGeneration(const Builder& b)
      : b_{b.tape, b.description, b.dims, b.structure, nullptr, b.untied},  // the encoder keeps no keys and values
        target_dims_(target_dims(b.dims)),
        target_structure_(target_structure(b.structure)),
        target_{b.tape, b.description, target_dims_, target_structure_, b.cache, b.untied},
        shared_(b_, "shared", b.dims.vocab, b.dims.hidden),
        encoder_(stack("encoder", b_, nullptr, b.description.runs)),
        decoder_(stack("decoder", target_, &b.dims, b.description.decoder_runs)),
        lm_head_("lm_head", shared_.weight(), Tensor()) {
    b_.make_untied(shared_.weight().shape(), "lm_head");
  }

  ModelOutput forward(const Batch& batch) override {
    target_dims_ = target_dims(b_.dims);  // an evaluation has others
    target_structure_ = target_structure(b_.structure);
    const Tensor hidden_states = encoder_(batch.input_ids, Tensor(), b_.structure.padding_mask);
    const Tensor decoder_input_ids = shift_right(batch.labels);
    const Tensor last_hidden_state = decoder_(decoder_input_ids, hidden_states, b_.structure.padding_mask);
    Tensor sequence_output = last_hidden_state;
    if (b_.description.scaled_head) sequence_output = mul_scalar(sequence_output);
    const Tensor lm_logits = lm_head_(sequence_output);
    Tensor loss = token_loss(lm_logits, batch.labels);
    return {std::move(loss), lm_logits, hidden_states, take_cache(target_)};
  }

 private:
  Stack stack(const char* name, const Builder& b, const Dims* encoder, const std::vector<LayerRun>& runs) const {
    const Scope scope(b.tape, name);
    b.make_untied(shared_.weight().shape(), "embed_tokens");
    return {b, shared_, encoder, runs};
  }

  Builder b_;
  Dims target_dims_;
  Structure target_structure_;
  Builder target_;
  Embedding shared_;
  Stack encoder_;
  Stack decoder_;
  Linear lm_head_;
};

/// "relu", "gated-gelu", "gated-silu": gated-gelu means the tanh approximation by hand.
void read_feed_forward(Fields& fields, Description& d, std::string_view otherwise) {
  const std::string named = fields.text("feed_forward_proj", otherwise);
  constexpr std::string_view kGated = "gated-";
  d.gated = named.starts_with(kGated);
  const std::string name = named == "gated-gelu" ? "gelu_new" : named.substr(d.gated ? kGated.size() : 0);
  for (const ActivationRow& row : activation_rows()) {
    if (row.name != name) continue;
    d.activation = row.activation;
    return;
  }
  fields.fail("feed_forward_proj", in_quotes(named) + " is not known", "such as relu or gated-gelu");
}

/// The first layer has what no other has, the relative positions' biases.
std::vector<LayerRun> first_and_rest(int64_t layers) {
  if (layers == 1) return {{1, false}};
  return {{1, false}, {layers - 1, false}};
}

/// Sizes by default, which differ between the two.
struct Defaults {
  int64_t vocab, ffn, layers, heads;
  std::string_view feed_forward;
};

Description read_common(Fields& fields, const Defaults& otherwise) {
  Description d;
  d.vocab = fields.size("vocab_size", otherwise.vocab);
  d.hidden = fields.size("d_model", 512);
  d.head_dim = fields.size("d_kv", 64);
  d.ffn = fields.size("d_ff", otherwise.ffn);
  d.layers = fields.size("num_layers", otherwise.layers);
  d.decoder_layers = fields.optional_size("num_decoder_layers").value_or(d.layers);
  d.runs = first_and_rest(d.layers);
  d.decoder_runs = first_and_rest(d.decoder_layers);
  d.heads = d.kv_heads = fields.size("num_heads", otherwise.heads);
  d.buckets = fields.size("relative_attention_num_buckets", 32);
  d.positions = fields.size("n_positions", 512);  // what the model was trained for: relative positions have no end
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.hidden_dropout = d.attention_dropout = fields.probability("dropout_rate", 0.1);
  read_feed_forward(fields, d, otherwise.feed_forward);
  d.tied = true;  // transformers 5 always ties
  d.has_padding_token = true;
  fields.refuse_flag("is_decoder", false, "makes a decoder of it");
  fields.ignore({"relative_attention_max_distance", "initializer_factor", "classifier_dropout", "dense_act_fn",
                 "is_gated_act", "decoder_start_token_id", "output_past"});
  return d;
}

/// A config that says it does not tie leaves out the scale.
Description read_t5(Fields& fields) {
  Description d = read_common(fields, {32128, 2048, 6, 8, "relu"});
  d.scaled_head = fields.flag("scale_decoder_outputs", fields.flag("tie_word_embeddings", true));
  return d;
}

Description read_mt5(Fields& fields) {
  Description d = read_common(fields, {250112, 1024, 8, 6, "gated-gelu"});
  fields.ignore({"tie_word_embeddings", "tokenizer_class"});
  return d;
}

/// Every layer has what only the first has elsewhere.
Description read_umt5(Fields& fields) {
  Description d = read_mt5(fields);
  d.scaled_head = true;
  d.runs.clear();
  d.decoder_runs.clear();
  return d;
}

constexpr std::array kTasks = {Task::kSeq2SeqLm};

std::unique_ptr<Model> build(const Builder& b) { return std::make_unique<ConditionalGeneration>(b); }

constexpr SizeNames kSizes = {"num_layers", "num_heads", "d_model", "d_ff", "vocab_size", nullptr, "d_kv"};

}  // namespace

const Family kT5 = {
    "t5", "T5, v1.1 and Flan", "transformers 5.23, models/t5", Task::kSeq2SeqLm, kTasks, read_t5, build, &kSizes};
const Family kMt5 = {"mt5", "mT5", "transformers 5.23, models/mt5", Task::kSeq2SeqLm, kTasks, read_mt5, build, &kSizes};
const Family kUmt5 = {"umt5", "umT5", "transformers 5.23, models/umt5", Task::kSeq2SeqLm, kTasks, read_umt5,
                      build,  &kSizes};

}  // namespace peakmem
