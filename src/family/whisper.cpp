// Whisper: an encoder of sound behind two convolutions over mel frames, and a decoder of text (transformers 5.23,
// models/whisper/modeling_whisper.py).
#include <array>

#include "family/bart_layers.h"
#include "family/family.h"
#include "model/cache.h"
#include "model/masks.h"
#include "model/target.h"
#include "trace/gather.h"

namespace peakmem {
namespace {

constexpr BartLayerStyle kStyle = {true, false, true, true};

/// torch.nn.Conv1d of three frames, to the hidden size.
struct FrameConvolution {
  const char* name;
  Tensor weight, bias;

  FrameConvolution(const Builder& b, const char* own_name, Expr in) : name(own_name) {
    const Scope scope(b.tape, name);
    constexpr int64_t kFrames = 3;
    weight = b.parameter({b.dims.hidden, in, kFrames}, "weight");
    bias = b.parameter({b.dims.hidden}, "bias");
  }
  /// [B, in, ...] to [B, hidden, frames].
  Tensor operator()(Tensor input, Expr frames) const {
    const Scope scope(weight.tape(), name);
    const Shape output = {input.size(0), weight.size(0), frames};
    return convolution(std::move(input), weight, bias, output);
  }
};

/// A layer's run under a checkpoint, or not.
Tensor run(const Builder& b, const BartLayer& layer, const Tensor& hidden_states, const Tensor& mask,
           const Tensor& encoder_hidden_states) {
  return checkpoint(b.structure.checkpointing,
                    CrossLayerFunction([&layer](const Tensor& input, const Tensor& layer_mask, const Tensor& encoder) {
                      return layer(input, layer_mask, encoder);
                    }),
                    hidden_states, mask, encoder_hidden_states);
}

/// WhisperEncoder. Its positions are sinusoids, a parameter that is never trained.
class Encoder {
 public:
  explicit Encoder(const Builder& builder)
      : b_(builder),
        conv1_(b_, "conv1", b_.description.mel_bins),
        conv2_(b_, "conv2", b_.dims.hidden),
        embed_positions_(make_positions()),
        layers_(b_, b_.description.runs, b_.dims.runs,
                [this](bool /*windowed*/) { return named<BartLayer>(b_, "layers.*", kStyle, false); }),
        layer_norm_(b_, "layer_norm", b_.dims.hidden) {}

  Tensor operator()(const Tensor& input_features) const {
    const Scope scope(b_.tape, "model.encoder");
    Tensor embeds = inputs_embeds(b_, conv1_(to(input_features, b_.structure.weights), 2 * b_.dims.seq));
    embeds = gelu(std::move(embeds));
    embeds = conv2_(std::move(embeds), b_.dims.seq);
    embeds = gelu(std::move(embeds));
    embeds = transpose(std::move(embeds), 1, 2);
    const Tensor all_positions = b_.tape.make({b_.dims.seq}, DType::kInt64, "arange");
    Tensor hidden_states = add(embeds, embed_positions_(all_positions));
    hidden_states = dropout(hidden_states, b_.description.hidden_dropout);
    layers_.run([&](const BartLayer& layer) {
      const Scope named_layer(b_.tape, "layers.*");
      hidden_states = run(b_, layer, hidden_states, Tensor(), Tensor());
    });
    return layer_norm_(hidden_states);
  }

 private:
  Embedding make_positions() const {
    constexpr const char* kName = "embed_positions";
    const Scope scope(b_.tape, kName);
    return {kName, b_.tape.parameter({b_.dims.positions, b_.dims.hidden}, b_.structure.weights, "weight", false)};
  }

  const Builder& b_;
  FrameConvolution conv1_, conv2_;
  Embedding embed_positions_;
  Layers<BartLayer> layers_;
  LayerNorm layer_norm_;
};

/// WhisperDecoder, whose builder's sizes are the targets'.
class Decoder {
 public:
  explicit Decoder(const Builder& builder)
      : b_(builder),
        embed_tokens_(b_, "embed_tokens", b_.dims.vocab, b_.dims.hidden),
        embed_positions_(b_, "embed_positions", b_.dims.positions, b_.dims.hidden),
        layers_(b_, b_.description.decoder_runs, b_.dims.runs,
                [this](bool /*windowed*/) { return named<BartLayer>(b_, "layers.*", kStyle, true); }),
        layer_norm_(b_, "layer_norm", b_.dims.hidden) {}

  const Tensor& word_weight() const { return embed_tokens_.weight(); }

  Tensor operator()(const Tensor& input_ids, const Tensor& encoder_hidden_states) const {
    const Scope scope(b_.tape, "model.decoder");
    const Tensor embeds = inputs_embeds(b_, embed_tokens_(input_ids));
    const Tensor position_ids = positions_of_all();
    const Tensor positions = embed_positions(position_ids);
    Tensor hidden_states = add(embeds, positions);
    hidden_states = dropout(hidden_states, b_.description.hidden_dropout);
    const Tensor mask = causal_mask(b_, false, embeds.dtype(), true);
    layers_.run([&](const BartLayer& layer) {
      const Scope named_layer(b_.tape, "layers.*");
      hidden_states = run(b_, layer, hidden_states, mask, encoder_hidden_states);
    });
    return layer_norm_(hidden_states);
  }

 private:
  Tensor positions_of_all() const {
    Tensor range = b_.tape.make({b_.dims.seq}, DType::kInt64, "arange");
    const Tensor position_ids = b_.tape.make({b_.dims.seq}, DType::kInt64, "add");
    range.reset();
    return b_.tape.make({b_.dims.batch, b_.dims.seq}, DType::kInt64, "repeat");
  }
  /// WhisperPositionalEmbedding, which takes rows by their numbers.
  Tensor embed_positions(const Tensor& position_ids) const {
    const Scope scope(b_.tape, "embed_positions");
    return index_embeddings(embed_positions_.in_use(), position_ids);
  }

  const Builder& b_;
  Embedding embed_tokens_;
  Embedding embed_positions_;
  Layers<BartLayer> layers_;
  LayerNorm layer_norm_;
};

/// The decoder's sizes: MLP and table of positions may be of others.
Dims decoder_dims(const Builder& b) {
  Dims dims = target_dims(b.dims);
  if (b.description.decoder_ffn != b.description.ffn) dims.ffn = b.description.decoder_ffn;
  dims.positions = b.description.target_positions;
  return dims;
}

/// WhisperForConditionalGeneration.
class ConditionalGeneration : public Model {
 public:
  explicit ConditionalGeneration(const Builder& b)
      : b_{b.tape, b.description, b.dims, b.structure, nullptr, b.untied},
        target_dims_(decoder_dims(b_)),
        target_structure_(target_structure(b.structure)),
        target_{b.tape, b.description, target_dims_, target_structure_, b.cache, b.untied},
        encoder_(named<Encoder>(b_, "model.encoder")),
        decoder_(named<Decoder>(target_, "model.decoder")),
        proj_out_(b.description.tied ? Linear(b_, "proj_out", decoder_.word_weight())
                                     : Linear(b_, "proj_out", b.dims.hidden, b.dims.vocab, false)) {}

  ModelOutput forward(const Batch& batch) override {
    target_dims_ = decoder_dims(b_);  // an evaluation has others
    target_structure_ = target_structure(b_.structure);
    const Tensor decoder_input_ids = shift_right(batch.labels);
    const Tensor encoder_hidden_states = encoder_(batch.input_features);
    const Tensor last_hidden_state = decoder_(decoder_input_ids, encoder_hidden_states);
    const Tensor lm_logits = proj_out_(last_hidden_state);
    Tensor loss = token_loss(lm_logits, batch.labels);
    return {std::move(loss), lm_logits, encoder_hidden_states, take_cache(target_)};
  }

 private:
  Builder b_;
  Dims target_dims_;
  Structure target_structure_;
  Builder target_;
  Encoder encoder_;
  Decoder decoder_;
  Linear proj_out_;
};

Description read_sizes(Fields& fields) {
  Description d;
  d.vocab = fields.size("vocab_size", 51865);
  d.hidden = fields.size("d_model", 384, "hidden_size");
  d.layers = fields.size("encoder_layers", 4);
  d.decoder_layers = fields.size("decoder_layers", 4);
  d.heads = d.kv_heads = fields.size("encoder_attention_heads", 6);
  if (fields.size("decoder_attention_heads", 6) != d.heads)
    fields.fail("decoder_attention_heads", "must be as many as the encoder's: other numbers are not modelled");
  d.ffn = fields.size("encoder_ffn_dim", 1536);
  d.decoder_ffn = fields.size("decoder_ffn_dim", 1536);
  d.mel_bins = fields.size("num_mel_bins", 80);
  d.positions = fields.size("max_source_positions", 1500);
  d.target_positions = fields.size("max_target_positions", 448);
  if (d.hidden % d.heads != 0)
    fields.fail("encoder_attention_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  d.head_dim = d.hidden / d.heads;
  return d;
}

Description read(Fields& fields) {
  Description d = read_sizes(fields);
  d.activation = read_activation(fields, "activation_function", "gelu");
  d.hidden_dropout = fields.probability("dropout", 0.0);
  d.attention_dropout = fields.probability("attention_dropout", 0.0);
  d.ffn_dropout = fields.probability("activation_dropout", 0.0);
  d.tied = fields.flag("tie_word_embeddings", true);
  d.learned_positions = true;
  d.has_padding_token = true;
  refuse_layerdrop(fields);
  fields.refuse_flag("apply_spec_augment", false, "masks frames and features by chance");
  fields.ignore({"scale_embedding", "init_std", "decoder_start_token_id", "forced_decoder_ids", "suppress_tokens",
                 "begin_suppress_tokens", "use_weighted_layer_sum", "classifier_proj_size", "mask_time_prob",
                 "mask_time_length", "mask_time_min_masks", "mask_feature_prob", "mask_feature_length",
                 "mask_feature_min_masks", "median_filter_width", "num_hidden_layers", "alignment_heads"});
  return d;
}

constexpr std::array kTasks = {Task::kSeq2SeqLm};

std::unique_ptr<Model> build(const Builder& b) { return std::make_unique<ConditionalGeneration>(b); }

constexpr SizeNames kSizes = {"encoder_layers", "encoder_attention_heads", "d_model", "encoder_ffn_dim"};

}  // namespace

const Family kWhisper = {"whisper", "Whisper", "transformers 5.23, models/whisper", Task::kSeq2SeqLm, kTasks, read,
                         build,     &kSizes};

}  // namespace peakmem
