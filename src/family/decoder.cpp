#include "family/decoder.h"

#include <algorithm>

#include "family/lm.h"
#include "family/towers.h"
#include "model/cache.h"
#include "model/outer_units.h"
#include "model/task_heads.h"
#include "trace/image_ops.h"
#include "trace/parts.h"
#include "trace/places.h"

namespace peakmem {
namespace {

/// The kinds of rotary embedding whose forward runs the same ops; `dynamic`, which asks for the longest position first,
/// and `longrope`, which chooses between two sets of frequencies by it.
void read_rotary_type(Fields& fields, Description& d, const char* name, const Value& parameters) {
  static constexpr std::array<std::string_view, 4> kAlike = {"default", "linear", "llama3", "yarn"};
  const bool is_placed = parameters.find("mrope_section") != nullptr;  // Qwen2-VL's "mrope" is the default kind
  const Value* type = parameters.find("rope_type");
  if (type == nullptr) type = parameters.find("type");
  if (type == nullptr) return;
  d.dynamic_rotary = d.dynamic_rotary || type->string == "dynamic";
  d.long_rotary = d.long_rotary || type->string == "longrope";
  if (d.dynamic_rotary || d.long_rotary) return;
  if (is_placed && type->string == "mrope") return;
  for (const std::string_view kind : kAlike)
    if (type->string == kind) return;
  fields.fail(name, "rotary embedding \"" + type->string.substr(0, 40) + "\" is not modelled",
              "known: default, linear, llama3, yarn, dynamic, longrope");
}

void read_rotary_parameters(Fields& fields, Description& d) {
  fields.ignore({"rope_theta", "partial_rotary_factor"});
  for (const char* name : {"rope_parameters", "rope_scaling"}) {
    if (!fields.has(name)) continue;
    const Value* parameters = fields.find(name);
    if (parameters->kind != Value::Kind::kObject) return fields.fail(name, "must be an object");
    read_rotary_type(fields, d, name, *parameters);
    for (const Member& member : parameters->members)  // by kind of layer
      if (member.value.kind == Value::Kind::kObject) read_rotary_type(fields, d, name, member.value);
  }
}

/// Layers of one kind in a row become a run.
void append(Description& d, bool windowed) {
  if (d.runs.empty() || d.runs.back().windowed != windowed) d.runs.push_back({0, windowed});
  ++d.runs.back().layers;
}

/// LlamaModel of a family's parts.
class Decoder {
 public:
  Decoder(const Builder& builder, const DecoderParts* parts) : Decoder(builder, parts, parts->model) {}
  Decoder(const Builder& builder, const DecoderParts* parts, const char* name)
      : b_(builder),
        parts_(*parts),
        name_(name),
        embed_tokens_(
            in_outer_unit(b_, Outer::kEmbedding, [this] { return parts_.make_embedding(b_, parts_.embedding); })),
        layers_(
            b_, b_.description.runs, b_.dims.runs,
            [this](bool windowed) { return KindOfLayer{parts_.make_layer(b_, parts_.layers, windowed), windowed}; }),
        norm_(in_outer_unit(b_, Outer::kNorm, [this] { return parts_.make_norm(b_, parts_.norm); })),
        rotary_emb_(parts_.make_rotary(b_)) {}

  const Tensor& embedding_weight() const { return embed_tokens_.weight; }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b_.tape, name_);
    return through_layers(embeddings(input_ids), {});
  }
  /// get_input_embeddings()(input_ids)
  Tensor embed(const Tensor& input_ids) const {
    const Scope scope(b_.tape, name_);
    return embeddings(input_ids);
  }
  /// Of embeddings that its caller holds.
  Tensor operator()(const Tensor& inputs_embeds, const TextInputs& told) const {
    const Scope scope(b_.tape, name_);
    return through_layers(inputs_embeds, told);
  }

 private:
  struct KindOfLayer {
    LayerCall layer;
    bool windowed;
  };

  Tensor embeddings(const Tensor& input_ids) const {
    Tensor embedded = call_in_outer_unit(b_.tape, Outer::kEmbedding, [&] { return embed_tokens_.call(input_ids); });
    return peakmem::inputs_embeds(b_, std::move(embedded));
  }

  Tensor through_layers(Tensor embedded, const TextInputs& told) const {
    Tensor inputs_embeds = parts_.scale_embeddings(std::move(embedded));
    const Tensor positions = told.position_ids ? told.position_ids : position_ids(b_);
    const DecoderMasks masks = told.masks ? *told.masks : decoder_masks(b_, inputs_embeds.dtype());
    Tensor hidden_states = dropout(inputs_embeds, b_.description.embedding_dropout);
    if (!parts_.keeps_embeddings) inputs_embeds = hidden_states;  // the name is what dropout gave
    const Rotations rotations = rotary_emb_(hidden_states, positions);
    Tensor weights;        // that the last layer handed on
    Tensor layer_outputs;  // what it gave, where more is added to that
    size_t layer = 0;
    const auto run_layer = [&](const KindOfLayer& kind) {
      const bool windowed = kind.windowed && b_.description.window > 0;
      if (windowed) keep_window(b_);
      AttentionOutput output =
          run(kind.layer, hidden_states, rotations.of(kind.windowed), windowed ? masks.windowed : masks.full);
      hidden_states = std::move(output.output);
      weights = std::move(output.weights);
      if (!told.deep.empty()) layer_outputs = hidden_states;
    };
    layers_.run(run_layer, [&](const KindOfLayer&) {
      if (layer < told.deep.size()) hidden_states = add_at_places(hidden_states, told.places, told.deep[layer]);
      ++layer;
    });
    hidden_states = call_in_outer_unit(b_.tape, Outer::kNorm, [&] { return norm_(hidden_states); });
    return hidden_states;
  }

  AttentionOutput run(const LayerCall& layer, const Tensor& hidden_states, const Rotation& shared,
                      const Tensor& mask) const {
    const Scope scope(b_.tape, parts_.layers);
    const Rotation rotation = layer_inputs(b_, shared);
    return run_layer(
        b_, [&layer, rotation, mask](const Tensor& input) { return layer(input, rotation, mask); }, hidden_states);
  }

  const Builder& b_;
  const DecoderParts& parts_;
  const char* name_;
  EmbeddingCall embed_tokens_;
  Layers<KindOfLayer> layers_;
  ModuleCall norm_;
  RotaryCall rotary_emb_;
};

/// What a decoder's output holds.
struct DecoderOutput {
  Tensor last_hidden_state;
  Tensor image_hidden_states;  // of a model that is shown images
  Tensor pixel_values;         // as the model got them: FSDP2 casts what it hands to the root, which lives as long
};

/// LlavaModel: what is seen stands in the places of tokens.
class SeeingDecoder {
 public:
  SeeingDecoder(const Builder& builder, const DecoderParts* parts)
      : b_(builder),
        see_(b_.description.sight->make_features(b_)),
        language_model_(named<Decoder>(b_, kLanguageModel, parts, kLanguageModel)) {}

  const Tensor& embedding_weight() const { return language_model_.embedding_weight(); }

  DecoderOutput operator()(const Batch& batch) const {
    const Scope scope(b_.tape, "model");
    const bool casts = b_.structure.casts_inputs;
    const Tensor pixel_values = casts ? to(batch.pixel_values, b_.structure.weights) : batch.pixel_values;
    Tensor inputs_embeds = language_model_.embed(batch.input_ids);
    const ImageFeatures image = see_(pixel_values);
    const Tensor image_features = to(image.features, inputs_embeds.dtype());
    const Places places = find_places(batch.input_ids);
    inputs_embeds = masked_scatter(inputs_embeds, places.images, image_features);
    const auto make_inputs = b_.description.sight->make_inputs;
    std::vector<Tensor> deep;
    for (const std::vector<Tensor>& feature : image.deep) deep.push_back(cat_parts(feature, 0));
    TextInputs inputs = make_inputs == nullptr ? TextInputs() : make_inputs(b_, inputs_embeds);
    inputs.places = places.images;
    inputs.deep = std::move(deep);
    if (b_.description.sight->any_size) keep_deltas();
    const bool returns = !b_.description.sight->any_size;
    return {language_model_(inputs_embeds, inputs), returns ? image_features : Tensor(), pixel_values};
  }

 private:
  /// Which tokens stand for images, and for films where a model takes those too.
  struct Places {
    Tensor images, films;
  };
  /// get_placeholder_mask: there are as many places as features.
  Places find_places(const Tensor& input_ids) const {
    Tape& tape = b_.tape;
    const Tensor places = tape.make(input_ids.shape(), DType::kBool, "eq");
    const bool films = b_.description.sight->any_size;
    const Tensor of_films = films ? tape.make(input_ids.shape(), DType::kBool, "eq") : Tensor();
    const Tensor count = tape.make({}, DType::kInt64, "sum");
    Tensor elements = tape.make({}, DType::kInt64, "mul");
    const Tensor is_right = tape.make({}, DType::kBool, "eq");
    elements.reset();
    const Tensor all = tape.make({}, DType::kBool, "_is_all_true");
    const Tensor films_count = films ? tape.make({}, DType::kInt64, "sum") : Tensor();
    return {unsqueeze(places, 2), of_films};
  }

  /// self.rope_deltas, by how much positions are ahead of tokens: kept until the next forward pass has its own.
  void keep_deltas() const {
    const auto make = [this] { return b_.tape.make({b_.dims.batch, 1}, DType::kInt64, "_to_copy"); };
    const size_t first = b_.tape.program.events.size();
    if (!rope_deltas_) {
      rope_deltas_ = make();
      return b_.tape.mark_once(first);
    }
    make();
  }

  static constexpr const char* kLanguageModel = "language_model";
  const Builder& b_;
  FeatureCall see_;
  Decoder language_model_;
  mutable Tensor rope_deltas_;
};

/// A decoder as the head of a language model calls it.
struct DecoderBody {
  Tensor embedding_weight;
  std::function<DecoderOutput(const Batch& batch)> call;
};

DecoderBody decoder_body(const Builder& b, const DecoderParts& parts) {
  const Scope scope(b.tape, b.description.tower ? "model" : parts.model);
  if (b.description.tower) {
    const auto body = std::make_shared<SeeingDecoder>(b, &parts);
    return {body->embedding_weight(), [body](const Batch& batch) { return (*body)(batch); }};
  }
  const auto body = std::make_shared<Decoder>(b, &parts);
  return {body->embedding_weight(),
          [body](const Batch& batch) { return DecoderOutput{(*body)(batch.input_ids), Tensor(), Tensor()}; }};
}

/// LlamaForCausalLM.
class CausalLm : public Model {
 public:
  CausalLm(const Builder& b, const DecoderParts& parts)
      : b_(b), parts_(parts), model_(decoder_body(b_, parts)), lm_head_(head(b_, model_.embedding_weight)) {}

  ModelOutput forward(const Batch& batch) override {
    const DecoderOutput outputs = model_.call(batch);
    const Tensor& hidden_states = outputs.last_hidden_state;
    if (makes_no_logits(b_.structure.kernels.loss))
      return fused_lm_loss(b_, hidden_states, head_weight(b_, lm_head_.weight()), batch);
    Tensor scores = call_in_outer_unit(b_.tape, Outer::kHead, [&] { return lm_head_(hidden_states); });
    Tensor logits = parts_.scale_logits(b_, std::move(scores));
    if (b_.structure.transformers == Transformers::kV445) logits = to(std::move(logits), DType::kFloat32);
    if (b_.structure.kernels.loss == LossKernel::kPlain) return {Tensor(), logits, {}, others(outputs)};
    Tensor loss = causal_lm_loss(b_, logits, batch);
    return {std::move(loss), logits, {}, others(outputs)};
  }

 private:
  std::vector<Tensor> others(const DecoderOutput& outputs) const {
    std::vector<Tensor> all = take_cache(b_);
    if (outputs.image_hidden_states) all.push_back(outputs.image_hidden_states);
    return all;
  }

  static Linear head(const Builder& b, const Tensor& embedding_weight) {
    return in_outer_unit(b, Outer::kHead, [&] {
      return b.description.tied ? Linear(b, "lm_head", embedding_weight, b.description.head_bias)
                                : Linear(b, "lm_head", b.dims.hidden, b.dims.vocab, b.description.head_bias);
    });
  }

  Builder b_;
  const DecoderParts& parts_;
  DecoderBody model_;
  Linear lm_head_;
};

/// LlamaForSequenceClassification.
class Classifier : public Model {
 public:
  Classifier(const Builder& b, const DecoderParts& parts)
      : b_(b),
        model_(named<Decoder>(b_, parts.model, &parts)),
        score_(b_, "score", b.dims.hidden, b.dims.labels, false) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor hidden_states = model_(batch.input_ids);
    const Tensor logits = score_(hidden_states);
    return last_token_output(b_, logits, batch.input_ids, batch.labels);
  }

 private:
  Builder b_;
  Decoder model_;
  Linear score_;
};

/// What a decoder is called in its model: a few are `transformer` below the head of question answering.
const char* body_name(const Description& d, const DecoderParts& parts) {
  static constexpr std::array<std::string_view, 7> kRenamed = {"llama",   "qwen2", "qwen3",  "qwen3_moe",
                                                               "smollm3", "arcee", "exaone4"};
  const bool renamed =
      d.task == Task::kQuestionAnswering && std::find(kRenamed.begin(), kRenamed.end(), d.family) != kRenamed.end();
  return renamed ? "transformer" : parts.model;
}

/// GPT-NeoX and Falcon have heads of their own.
HeadStyle head_style(const Description& d) {
  HeadStyle style = {d.family == "gpt_neox" || d.family == "falcon" ? "classifier" : "score"};
  style.upcasts = d.family != "falcon";
  return style;
}

}  // namespace

std::unique_ptr<Model> build_decoder(const Builder& b, const DecoderParts& parts) {
  if (has_common_head(b.description.task))
    return build_common_head(b, head_style(b.description), [&](const Builder& own) {
      return body_call<Decoder>(own, body_name(own.description, parts), &parts);
    });
  if (b.description.task == Task::kSequenceClassification) return std::make_unique<Classifier>(b, parts);
  return std::make_unique<CausalLm>(b, parts);
}

std::span<const Task> decoder_tasks(DecoderHeads heads) {
  static constexpr std::array kTasks = {Task::kCausalLm, Task::kFeatureExtraction, Task::kSequenceClassification,
                                        Task::kTokenClassification, Task::kQuestionAnswering};
  return std::span(kTasks).first(static_cast<size_t>(heads));
}

Description read_decoder(Fields& fields, int64_t vocab, int64_t hidden, int64_t ffn, int64_t positions) {
  Description d;
  d.vocab = fields.size("vocab_size", vocab);
  d.hidden = fields.size("hidden_size", hidden);
  d.ffn = fields.size("intermediate_size", ffn);
  d.layers = fields.size("num_hidden_layers", 32);
  d.heads = fields.size("num_attention_heads", 32);
  d.positions = fields.size("max_position_embeddings", positions);
  const auto head_dim = fields.optional_size("head_dim");
  d.head_dim = head_dim.value_or(d.hidden / d.heads);
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.activation = read_activation(fields, "hidden_act", "silu");
  d.attention_dropout = fields.probability("attention_dropout", 0.0);
  d.tied = fields.flag("tie_word_embeddings", false);
  d.token_dropout = read_token_dropout(fields, 0.1);
  read_rotary_parameters(fields, d);
  if (d.head_dim % 2 != 0)
    fields.fail("head_dim", "is " + std::to_string(d.head_dim) + ", the rotary embedding needs an even one");
  return d;
}

int64_t read_rotary(Fields& fields, int64_t head_dim, double otherwise) {
  const Value* factor = fields.find("partial_rotary_factor");
  return read_rotary_of_parameters(fields, head_dim, fields.has("partial_rotary_factor") ? factor->real : otherwise);
}

int64_t read_rotary_of_parameters(Fields& fields, int64_t head_dim, double otherwise) {
  double share = otherwise;
  const auto take = [&](const Value* factor) {
    if (factor != nullptr && !factor->is_null()) share = factor->real;
  };
  for (const char* name : {"rope_scaling", "rope_parameters"})
    if (const Value* parameters = fields.find(name)) take(parameters->find("partial_rotary_factor"));
  const bool is_share = share >= 0.0 && share <= 1.0;
  const auto turned = is_share ? static_cast<int64_t>(static_cast<double>(head_dim) * share) : 0;
  if (turned >= 2 && turned % 2 == 0) return turned;
  fields.fail("partial_rotary_factor", "turns " + std::to_string(turned) + " of a head's " + std::to_string(head_dim) +
                                           " features, which must be an even number of them");
  return head_dim;
}

int64_t read_kv_heads(Fields& fields, int64_t heads, int64_t absent) {
  return fields.has("num_key_value_heads") || fields.find("num_key_value_heads") == nullptr
             ? fields.size("num_key_value_heads", absent)
             : heads;
}

void check_head_quotient(Fields& fields, const Description& d) {
  if (d.hidden % d.heads != 0)
    fields.fail("num_attention_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
}

void read_layer_types(Fields& fields, Description& d, const std::vector<std::string>& types) {
  if (static_cast<int64_t>(types.size()) != d.layers)
    return fields.fail("layer_types",
                       "has " + std::to_string(types.size()) + " entries for " + std::to_string(d.layers) + " layers");
  for (const std::string& type : types) {
    if (type != "full_attention" && type != "sliding_attention")
      return fields.fail("layer_types", "\"" + type.substr(0, 40) + "\" is not known",
                         "known: full_attention, sliding_attention");
    append(d, type == "sliding_attention");
  }
}

namespace {

bool alternate_as_usual(const std::vector<std::string>& types, int64_t period) {
  for (size_t i = 0; i < types.size(); ++i)
    if ((types[i] == "full_attention") != ((static_cast<int64_t>(i) + 1) % period == 0)) return false;
  return true;
}

}  // namespace

// The stack's first layer and its last ones are runs of their own, since what stands before and behind them differs; so
// the groups between stand for each other.
//
//     w | w w w w F w | w w w w F w | … | w w w w F        for a period of 6
void alternate(Description& d, int64_t period) {
  const auto add = [&d](int64_t layers, bool windowed) {
    if (layers > 0) d.runs.push_back({layers, windowed});
  };
  d.runs.clear();
  if (period == 1) return add(d.layers, false);
  const int64_t place = period - 2;  // of the full one in a group
  const int64_t groups = std::max(d.layers - 2, int64_t{0}) / period;
  const int64_t left = d.layers - 1 - groups * period;
  add(1, true);
  if (groups > 0) d.runs.push_back({groups * period, true, period, place});
  add(std::min(left, place), true);
  add(left > place ? 1 : 0, false);
  add(left - place - 1, true);
}

void read_alternation(Fields& fields, Description& d, int64_t period) {
  const std::vector<std::string> types = fields.texts("layer_types");
  if (!types.empty()) read_layer_types(fields, d, types);
  if (alternate_as_usual(types, period)) alternate(d, period);
}

}  // namespace peakmem
