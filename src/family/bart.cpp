// BART and its kin, encoder-decoders that differ in where their norms and positions are (transformers 5.23,
// models/bart, mbart, pegasus, marian and blenderbot, modeling_*.py).
#include <array>
#include <optional>

#include "family/bart_layers.h"
#include "family/family.h"
#include "model/masks.h"
#include "model/target.h"

namespace peakmem {
namespace {

/// What one of them has otherwise than the others.
struct Style {
  std::string_view family;
  bool norms_first;        // before attention and MLP; then each stack ends with a norm
  bool norms_embeddings;   // with the positions added
  bool learns_positions;   // a table that is trained, else sinusoids
  bool skips_positions;    // the first two of the table are nobody's
  bool scales_in_module;   // the embedding scales what it gives; else its caller does
  bool keeps_target_mask;  // its name lives on beside the mask that is made of it
  bool wraps_target;       // the decoder's input begins with the target's last token
  bool rebinds_ids;        // the decoder's name for position ids becomes that of what the table gives for them
};
constexpr auto kStyles = std::to_array<Style>({
    {"bart", false, true, true, true, true, false, false, false},
    {"mbart", true, true, true, true, true, true, true, true},
    {"pegasus", true, false, false, false, false, true, false, false},
    {"marian", false, false, false, false, false, true, false, true},
    {"blenderbot", true, false, true, false, true, true, false, true},
});

const Style& style_of(const Builder& b) {
  for (const Style& style : kStyles)
    if (style.family == b.description.family) return style;
  return kStyles.front();
}

/// Those whose norms come first clamp what an encoder's layer gives in fp16; the others look at its values first.
BartLayerStyle layer_style(const Style& style) {
  return {style.norms_first, true, false, style.norms_first, !style.norms_first};
}

/// A table of positions: learned, or sinusoids, which are a parameter that is never trained.
struct Positions {
  const Builder& b;
  const Style& style;
  Embedding table;

  explicit Positions(const Builder& builder) : b(builder), style(style_of(b)), table(make_table()) {}

  /// Of an encoder, which makes them for every sequence where it skips some.
  Tensor of_encoder() const {
    const Scope scope(b.tape, "embed_positions");
    const Tensor position_ids = b.tape.make({b.dims.seq}, DType::kInt64, "arange");
    if (!style.skips_positions) return look_up(position_ids);
    return look_up(b.tape.make({b.dims.batch, b.dims.seq}, DType::kInt64, "add"));
  }

  /// Of a decoder, which has them already.
  Tensor of_decoder(const Tensor& position_ids) const {
    const Scope scope(b.tape, "embed_positions");
    if (!style.skips_positions) return look_up(position_ids);
    return look_up(b.tape.make({1, b.dims.seq}, DType::kInt64, "add"));
  }

 private:
  static constexpr const char* kName = "embed_positions";

  Embedding make_table() const {
    const Expr rows = b.dims.positions + (style.skips_positions ? 2 : 0);
    if (style.learns_positions) return {b, kName, rows, b.dims.hidden};
    const Scope scope(b.tape, kName);
    return {kName, b.tape.parameter({rows, b.dims.hidden}, b.structure.weights, "weight", false)};
  }

  Tensor look_up(const Tensor& position_ids) const {
    if (style.learns_positions) return embedding(position_ids, table.weight());
    const NoGrad no_grad(b.tape);
    return embedding(position_ids, table.weight());
  }
};

/// BartEncoder, or BartDecoder.
class Stack {
 public:
  Stack(const Builder& builder, Embedding words, bool is_decoder, const std::vector<LayerRun>& runs)
      : b_(builder),
        style_(style_of(b_)),
        is_decoder_(is_decoder),
        embed_tokens_(std::move(words)),
        embed_positions_(b_),
        layers_(b_, runs, b_.dims.runs, [this](bool /*windowed*/) {
          const Scope scope(b_.tape, "layers.*");
          return BartLayer(b_, layer_style(style_), is_decoder_);
        }) {
    if (style_.norms_embeddings) layernorm_embedding_.emplace(b_, "layernorm_embedding", b_.dims.hidden);
    if (style_.norms_first) layer_norm_.emplace(b_, "layer_norm", b_.dims.hidden);
  }

  Tensor operator()(const Tensor& input_ids, const Tensor& encoder_hidden_states, bool has_mask) const {
    const Scope scope(b_.tape, is_decoder_ ? "model.decoder" : "model.encoder");
    const Tensor inputs_embeds = embed(input_ids);
    Tensor position_ids, target_mask, mask;
    if (is_decoder_) mask = decoder_mask(inputs_embeds, position_ids, target_mask);
    if (has_mask && is_decoder_) look_for_padding(encoder_hidden_states);
    const Tensor positions = is_decoder_ ? embed_positions_.of_decoder(position_ids) : embed_positions_.of_encoder();
    if (style_.rebinds_ids) position_ids.reset();
    Tensor hidden_states = add(inputs_embeds, positions);
    if (layernorm_embedding_) hidden_states = (*layernorm_embedding_)(hidden_states);
    hidden_states = dropout(hidden_states, b_.description.hidden_dropout);
    if (has_mask && !is_decoder_) look_for_padding(inputs_embeds);
    layers_.run([&](const BartLayer& layer) {
      const Scope named_layer(b_.tape, "layers.*");
      hidden_states =
          checkpoint(b_.structure.checkpointing,
                     CrossLayerFunction([&layer](const Tensor& input, const Tensor& layer_mask, const Tensor& encoder) {
                       return layer(input, layer_mask, encoder);
                     }),
                     hidden_states, mask, encoder_hidden_states);
    });
    if (layer_norm_) hidden_states = (*layer_norm_)(hidden_states);
    return hidden_states;
  }

 private:
  Tensor embed(const Tensor& input_ids) const {
    if (style_.scales_in_module) return inputs_embeds(b_, mul_scalar(embed_tokens_(input_ids)));
    Tensor embeds = inputs_embeds(b_, embed_tokens_(input_ids));
    return mul_scalar(embeds);
  }

  /// A decoder that is given no mask makes one of ones, and a causal one of that.
  Tensor decoder_mask(const Tensor& embeds, Tensor& position_ids, Tensor& target_mask) const {
    {
      const Tensor range = b_.tape.make({b_.dims.seq}, DType::kInt64, "arange");
      position_ids = b_.tape.make({b_.dims.seq}, DType::kInt64, "add");
    }
    target_mask = b_.tape.make({b_.dims.batch, b_.dims.seq}, DType::kFloat32, "ones");
    Structure masked = b_.structure;
    masked.padding_mask = true;
    Tensor mask = causal_mask(Builder{b_.tape, b_.description, b_.dims, masked}, false, embeds.dtype(), false);
    if (!style_.keeps_target_mask) target_mask.reset();
    return mask;
  }

  const Builder& b_;
  const Style& style_;
  bool is_decoder_;
  Embedding embed_tokens_;
  Positions embed_positions_;
  Layers<BartLayer> layers_;
  std::optional<LayerNorm> layernorm_embedding_, layer_norm_;
};

/// The decoder's sizes, whose MLP may be of another width.
Dims decoder_dims(const Builder& b) {
  Dims dims = target_dims(b.dims);
  if (b.description.decoder_ffn != b.description.ffn) dims.ffn = b.description.decoder_ffn;
  return dims;
}

/// BartForConditionalGeneration, which turns its cache off where there are labels.
class ConditionalGeneration : public Model {
 public:
  explicit ConditionalGeneration(const Builder& b)
      : b_{b.tape, b.description, b.dims, b.structure, nullptr, b.untied},
        target_dims_(decoder_dims(b_)),
        target_structure_(target_structure(b.structure)),
        target_{b.tape, b.description, target_dims_, target_structure_, nullptr, b.untied},
        shared_(named<Embedding>(b_, "model", "shared", b.dims.vocab, b.dims.hidden)),
        encoder_(stack("model.encoder", b_, false, b.description.runs)),
        decoder_(stack("model.decoder", target_, true, b.description.decoder_runs)),
        final_logits_bias_(b.tape.buffer({1, b.dims.vocab}, b.structure.buffers, "final_logits_bias")),
        lm_head_(b.description.tied ? Linear(b_, "lm_head", shared_.weight())
                                    : Linear(b_, "lm_head", b.dims.hidden, b.dims.vocab, false)) {}

  ModelOutput forward(const Batch& batch) override {
    target_dims_ = decoder_dims(b_);  // an evaluation has others
    target_structure_ = target_structure(b_.structure);
    const Tensor decoder_input_ids = style_of(b_).wraps_target ? wrap(batch.labels) : shift_right(batch.labels);
    const Tensor encoder_hidden_states = encoder_(batch.input_ids, Tensor(), b_.structure.padding_mask);
    const Tensor last_hidden_state = decoder_(decoder_input_ids, encoder_hidden_states, b_.structure.padding_mask);
    Tensor lm_logits = lm_head_(last_hidden_state);
    lm_logits = add(lm_logits, final_logits_bias_);
    Tensor loss = token_loss(lm_logits, batch.labels);
    return {std::move(loss), lm_logits, encoder_hidden_states};
  }

 private:
  Stack stack(const char* name, const Builder& b, bool is_decoder, const std::vector<LayerRun>& runs) const {
    const Scope scope(b.tape, name);
    constexpr const char* kWords = "embed_tokens";
    if (!b.description.tied) return {b, Embedding(b, kWords, b.dims.vocab, b.dims.hidden), is_decoder, runs};
    b.make_untied(shared_.weight().shape(), kWords);
    return {b, Embedding(kWords, shared_.weight()), is_decoder, runs};
  }

  /// mBART's shift_tokens_right: the last token that is not padding, the language, comes first.
  Tensor wrap(const Tensor& labels) const {
    Tape& tape = b_.tape;
    const Expr rows = labels.size(0);
    Tensor prev_output_tokens = tape.make(labels.shape(), DType::kInt64, "clone");
    tape.make(labels.shape(), DType::kBool, "eq");
    Tensor different = tape.make(labels.shape(), DType::kBool, "ne");
    Tensor count = tape.make({rows}, DType::kInt64, "sum");
    different.reset();
    const Tensor index_of_eos = tape.make({rows}, DType::kInt64, "sub");
    count.reset();
    const Tensor decoder_start_tokens = tape.make({rows, 1}, DType::kInt64, "gather");
    tape.make({rows, labels.size(1) - 1}, DType::kInt64, "clone");
    return prev_output_tokens;
  }

  Builder b_;
  Dims target_dims_;
  Structure target_structure_;
  Builder target_;
  Embedding shared_;
  Stack encoder_;
  Stack decoder_;
  Tensor final_logits_bias_;
  Linear lm_head_;
};

/// Sizes by default, which differ among them.
struct Defaults {
  int64_t vocab, hidden, layers, decoder_layers, heads, ffn, positions;
};

Description read_sizes(Fields& fields, const Defaults& otherwise) {
  Description d;
  d.vocab = fields.size("vocab_size", otherwise.vocab);
  d.hidden = fields.size("d_model", otherwise.hidden, "hidden_size");
  d.layers = fields.size("encoder_layers", otherwise.layers);
  d.decoder_layers = fields.size("decoder_layers", otherwise.decoder_layers);
  d.heads = d.kv_heads = fields.size("encoder_attention_heads", otherwise.heads);
  if (fields.size("decoder_attention_heads", otherwise.heads) != d.heads)
    fields.fail("decoder_attention_heads", "must be as many as the encoder's: other numbers are not modelled");
  d.ffn = fields.size("encoder_ffn_dim", otherwise.ffn);
  d.decoder_ffn = fields.size("decoder_ffn_dim", otherwise.ffn);
  d.positions = fields.size("max_position_embeddings", otherwise.positions);
  if (d.hidden % d.heads != 0)
    fields.fail("encoder_attention_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  d.head_dim = d.hidden / d.heads;
  return d;
}

Description read_kin(Fields& fields, const Defaults& otherwise) {
  Description d = read_sizes(fields, otherwise);
  d.activation = read_activation(fields, "activation_function", "gelu");
  d.hidden_dropout = fields.probability("dropout", 0.1);
  d.attention_dropout = fields.probability("attention_dropout", 0.0);
  d.ffn_dropout = fields.probability("activation_dropout", 0.0);
  d.tied = fields.flag("tie_word_embeddings", true);
  d.learned_positions = true;
  d.has_padding_token = true;
  refuse_layerdrop(fields);
  fields.refuse_flag("is_decoder", false, "makes a decoder of it");
  fields.ignore({"scale_embedding",
                 "init_std",
                 "classifier_dropout",
                 "classif_dropout",
                 "decoder_start_token_id",
                 "forced_bos_token_id",
                 "forced_eos_token_id",
                 "num_hidden_layers",
                 "num_attention_heads",
                 "normalize_before",
                 "normalize_embedding",
                 "add_final_layer_norm",
                 "add_bias_logits",
                 "static_position_embeddings",
                 "do_blenderbot_90_layernorm",
                 "extra_pos_embeddings",
                 "force_bos_token_to_be_generated",
                 "num_beams",
                 "length_penalty",
                 "early_stopping",
                 "no_repeat_ngram_size",
                 "min_length",
                 "encoder_no_repeat_ngram_size",
                 "bad_words_ids",
                 "save_step",
                 "output_past",
                 "extra_layer_norm",
                 "layernorm_variant"});
  return d;
}

constexpr Defaults kLarge = {50265, 1024, 12, 12, 16, 4096, 1024};

Description read_bart(Fields& fields) { return read_kin(fields, kLarge); }

Description read_marian(Fields& fields) {
  Defaults otherwise = kLarge;
  otherwise.vocab = 58101;
  Description d = read_kin(fields, otherwise);
  if (fields.has("decoder_vocab_size") && fields.size("decoder_vocab_size", d.vocab) != d.vocab)
    fields.fail("decoder_vocab_size", "must be vocab_size: two vocabularies are not modelled");
  fields.refuse_flag("share_encoder_decoder_embeddings", true, "gives each stack embeddings of its own");
  return d;
}

Description read_blenderbot(Fields& fields) { return read_kin(fields, {8008, 2560, 2, 24, 32, 10240, 128}); }

constexpr std::array kTasks = {Task::kSeq2SeqLm};

std::unique_ptr<Model> build(const Builder& b) { return std::make_unique<ConditionalGeneration>(b); }

constexpr SizeNames kSizes = {"encoder_layers", "encoder_attention_heads", "d_model", "encoder_ffn_dim"};

}  // namespace

const Family kBart = {"bart", "BART", "transformers 5.23, models/bart", Task::kSeq2SeqLm, kTasks, read_bart,
                      build,  &kSizes};
const Family kMbart = {"mbart", "mBART", "transformers 5.23, models/mbart", Task::kSeq2SeqLm, kTasks, read_bart,
                       build,   &kSizes};
const Family kPegasus = {"pegasus", "Pegasus", "transformers 5.23, models/pegasus", Task::kSeq2SeqLm, kTasks, read_bart,
                         build,     &kSizes};
const Family kMarian = {"marian", "Marian", "transformers 5.23, models/marian", Task::kSeq2SeqLm, kTasks, read_marian,
                        build,    &kSizes};
const Family kBlenderbot = {
    "blenderbot", "Blenderbot", "transformers 5.23, models/blenderbot", Task::kSeq2SeqLm, kTasks, read_blenderbot,
    build,        &kSizes};

}  // namespace peakmem
