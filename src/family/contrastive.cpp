// CLIP and SigLIP whole: encoders of images and texts that are trained to tell which belong together, or the encoder of
// images with a classifier (transformers 5.23, models/clip/modeling_clip.py and models/siglip/modeling_siglip.py).
#include <array>
#include <memory>

#include "family/clip.h"
#include "model/masks.h"
#include "trace/image_ops.h"
#include "trace/mean.h"

namespace peakmem {
namespace {

constexpr const char* kVisionModel = "vision_model";
constexpr const char* kTextModel = "text_model";

bool is_siglip(const Builder& b) { return b.description.family == "siglip"; }

/// CLIPTextEmbeddings, SiglipTextEmbeddings.
struct TextEmbeddings {
  const Builder& b;
  Embedding token_embedding;
  Embedding position_embedding;
  Tensor position_ids;

  explicit TextEmbeddings(const Builder& builder)
      : b(builder),
        token_embedding(b, "token_embedding", b.dims.vocab, b.dims.hidden),
        position_embedding(b, "position_embedding", b.dims.positions, b.dims.hidden),
        position_ids(b.tape.buffer({1, b.dims.positions}, DType::kInt64, "position_ids")) {}

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b.tape, "embeddings");
    const Tensor positions = slice(position_ids, 1, b.dims.seq);
    const Tensor words = inputs_embeds(b, token_embedding(input_ids));
    const Tensor position_embeddings = position_embedding(positions);
    return add(words, position_embeddings);
  }
};

/// What a text's encoder holds and what is taken of it.
struct TextOutput {
  Tensor last_hidden_state;
  Tensor pooled;
};

/// CLIPTextModel.
class TextModel {
 public:
  explicit TextModel(const Builder& builder)
      : b_(builder),
        embeddings_(named<TextEmbeddings>(b_, "embeddings")),
        encoder_(b_, false, 1),
        final_layer_norm_(b_, "final_layer_norm", b_.dims.hidden) {}

  TextOutput operator()(const Tensor& input_ids) const {
    const Scope scope(b_.tape, kTextModel);
    const Tensor hidden_states = embeddings_(input_ids);
    const Tensor mask = causal_mask(b_, false, hidden_states.dtype(), false);
    const Tensor last_hidden_state = final_layer_norm_(encoder_(hidden_states, true, mask).last_hidden_state);
    return {last_hidden_state, pool(last_hidden_state, input_ids)};
  }

 private:
  /// The features of every text's end: its highest token, or the first one that is the end's.
  Tensor pool(const Tensor& last_hidden_state, const Tensor& input_ids) const {
    Tape& tape = b_.tape;
    const Tensor rows = tape.make({b_.dims.batch}, DType::kInt64, "arange");
    Tensor numbers = tape.make(input_ids.shape(), DType::kInt32, "_to_copy");
    if (b_.description.seeks_end_token) {
      Tensor is_end = tape.make(input_ids.shape(), DType::kBool, "eq");
      numbers = tape.make(input_ids.shape(), DType::kInt32, "_to_copy");
    }
    const Tensor ends = tape.make({b_.dims.batch}, DType::kInt64, "argmax");
    numbers.reset();
    return index_rows(last_hidden_state, rows, ends);
  }

  const Builder& b_;
  TextEmbeddings embeddings_;
  TowerEncoder encoder_;
  LayerNorm final_layer_norm_;
};

/// SiglipTextModel, whose features are the last token's.
class SiglipTextModel {
 public:
  explicit SiglipTextModel(const Builder& builder)
      : b_(builder),
        embeddings_(named<TextEmbeddings>(b_, "embeddings")),
        encoder_(b_, true, 1),
        final_layer_norm_(b_, "final_layer_norm", b_.dims.hidden),
        head_(b_, "head", b_.dims.hidden, b_.description.projection, true) {}

  TextOutput operator()(const Tensor& input_ids) const {
    const Scope scope(b_.tape, kTextModel);
    const Tensor hidden_states = embeddings_(input_ids);
    const Tensor last_hidden_state = final_layer_norm_(encoder_(hidden_states).last_hidden_state);
    const Tensor pooled_output = select_first(last_hidden_state);
    return {last_hidden_state, head_(pooled_output)};
  }

 private:
  const Builder& b_;
  TextEmbeddings embeddings_;
  TowerEncoder encoder_;
  LayerNorm final_layer_norm_;
  Linear head_;
};

/// _get_vector_norm
Tensor vector_norm(const Tensor& tensor) {
  const Tensor square_tensor = pow_scalar(tensor);
  const Tensor sum_tensor = sum_last(square_tensor);
  return pow_scalar(sum_tensor);
}

Tensor normalized(const Tensor& embeds) {
  const Tensor norm = vector_norm(embeds);
  return divide(embeds, norm);
}

/// contrastive_loss: every row's own column is its class.
Tensor contrastive_loss(const Tensor& similarity) {
  const Tensor classes = similarity.tape().make({similarity.size(0)}, DType::kInt64, "arange");
  return cross_entropy(similarity, classes);
}

/// CLIPModel.
class ContrastiveModel : public Model {
 public:
  explicit ContrastiveModel(const Builder& b)
      : b_(b),
        logit_scale_(b_.parameter({}, "logit_scale")),
        text_model_(named<TextModel>(b_, kTextModel)),
        vision_model_(make_tower(b_, kVisionModel)),
        visual_projection_(b_, "visual_projection", b.description.tower->hidden, b.description.projection, false),
        text_projection_(b_, "text_projection", b.dims.hidden, b.description.projection, false) {}

  ModelOutput forward(const Batch& batch) override {
    const bool casts = b_.structure.casts_inputs;
    const Tensor pixel_values = casts ? to(batch.pixel_values, b_.structure.weights) : batch.pixel_values;
    TowerOutput vision_outputs = vision_model_(pixel_values);
    vision_outputs.pooled = visual_projection_(std::exchange(vision_outputs.pooled, Tensor()));
    TextOutput text_outputs = text_model_(batch.input_ids);
    text_outputs.pooled = text_projection_(std::exchange(text_outputs.pooled, Tensor()));
    const Tensor image_embeds = normalized(vision_outputs.pooled);
    const Tensor text_embeds = normalized(text_outputs.pooled);
    Tensor logits_per_text = matmul_of_rows(text_embeds, transpose(image_embeds, 0, 1));
    logits_per_text = mul(logits_per_text, exp(logit_scale_));
    const Tensor logits_per_image = transpose(logits_per_text, 0, 1);
    Tensor loss = loss_of(logits_per_text);
    return {std::move(loss),
            logits_per_text,
            {},
            {image_embeds, text_embeds, vision_outputs.last_hidden_state, vision_outputs.pooled,
             text_outputs.last_hidden_state, text_outputs.pooled}};
  }

 private:
  Tensor loss_of(const Tensor& similarity) const {
    const Scope scope(b_.tape, "loss");
    const Tensor caption_loss = contrastive_loss(similarity);
    const Tensor image_loss = contrastive_loss(transpose(similarity, 0, 1));
    return div_scalar(add(caption_loss, image_loss));
  }

  Builder b_;
  Tensor logit_scale_;
  TextModel text_model_;
  TowerCall vision_model_;
  Linear visual_projection_, text_projection_;
};

/// SiglipModel.
class SiglipContrastiveModel : public Model {
 public:
  explicit SiglipContrastiveModel(const Builder& b)
      : b_(b),
        logit_scale_(b_.parameter({1}, "logit_scale")),
        logit_bias_(b_.parameter({1}, "logit_bias")),
        text_model_(named<SiglipTextModel>(b_, kTextModel)),
        vision_model_(make_tower(b_, kVisionModel)) {}

  ModelOutput forward(const Batch& batch) override {
    const bool casts = b_.structure.casts_inputs;
    const Tensor pixel_values = casts ? to(batch.pixel_values, b_.structure.weights) : batch.pixel_values;
    const TowerOutput vision_outputs = vision_model_(pixel_values);
    const TextOutput text_outputs = text_model_(batch.input_ids);
    Tensor image_embeds = vision_outputs.pooled;
    Tensor text_embeds = text_outputs.pooled;
    image_embeds = divide(image_embeds, norm_last(image_embeds));
    text_embeds = divide(text_embeds, norm_last(text_embeds));
    Tensor logits_per_text = matmul_of_rows(text_embeds, transpose(image_embeds, 0, 1));
    logits_per_text = mul(logits_per_text, exp(logit_scale_));
    logits_per_text = add(logits_per_text, logit_bias_);
    Tensor loss = loss_of(logits_per_text);
    return {std::move(loss),
            logits_per_text,
            {},
            {image_embeds, text_embeds, vision_outputs.last_hidden_state, vision_outputs.pooled,
             text_outputs.last_hidden_state, text_outputs.pooled}};
  }

 private:
  /// Every pair of a batch is right or wrong by itself.
  Tensor loss_of(const Tensor& logits) const {
    const Scope scope(b_.tape, "loss");
    Tape& tape = b_.tape;
    const Tensor eye = tape.make(logits.shape(), DType::kFloat32, "eye");
    Tensor ones = tape.make(logits.shape(), logits.dtype(), "ones_like");
    Tensor minus_ones = tape.make(logits.shape(), logits.dtype(), "neg");
    ones.reset();
    Tensor twice = tape.make(logits.shape(), DType::kFloat32, "mul");
    const Tensor m1_diag1 = tape.make(logits.shape(), DType::kFloat32, "add");
    twice.reset();
    minus_ones.reset();
    const Tensor loglik = log_sigmoid(mul(m1_diag1, logits));
    const Tensor nll = neg(sum_dim(loglik, 1));
    return mean_all(nll);
  }

  Builder b_;
  Tensor logit_scale_, logit_bias_;
  SiglipTextModel text_model_;
  TowerCall vision_model_;
};

/// CLIPForImageClassification, SiglipForImageClassification: the mean over patches, without the token before them.
class ImageClassifier : public Model {
 public:
  explicit ImageClassifier(const Builder& b)
      : b_(b),
        vision_model_(make_vision_model(b_)),
        classifier_(b_, "classifier", b.dims.hidden, b.dims.labels, true) {}

  ModelOutput forward(const Batch& batch) override {
    const TowerOutput outputs = call(batch.pixel_values);
    Tensor sequence_output = outputs.last_hidden_state;
    if (!is_siglip(b_)) sequence_output = slice(sequence_output, 1, b_.dims.seq - 1);
    sequence_output = mean_dim(sequence_output, 1);
    const Tensor logits = classifier_(sequence_output);
    return {image_loss(b_, logits, batch), logits};
  }

 private:
  static TowerCall make_vision_model(const Builder& b) {
    const Scope scope(b.tape, kVisionModel);
    return is_siglip(b) ? make_siglip_tower(b) : make_clip_tower(b);
  }
  TowerOutput call(const Tensor& pixel_values) const {
    const Scope scope(b_.tape, kVisionModel);
    return vision_model_(pixel_values);
  }

  Builder b_;
  TowerCall vision_model_;
  Linear classifier_;
};

const Sight kSight = {nullptr, nullptr, false, true, true};

/// CLIPTextConfig. An end token of 2 is of configs before it was put right.
Description read_text(Fields& fields) {
  Description d = read_encoder_of_either(fields, "quick_gelu", {512, 2048, 8});
  d.vocab = fields.size("vocab_size", 49408);
  d.positions = fields.size("max_position_embeddings", 77);
  d.learned_positions = true;
  const Value* end = fields.find("eos_token_id");
  d.seeks_end_token = end == nullptr || end->kind != Value::Kind::kInteger || end->integer != 2;
  return d;
}

Description read(Fields& fields) {
  Description d = read_part(fields, kTextConfig, read_text);
  read_tower(fields, d, kSight, "clip_vision_model");
  d.projection = fields.size("projection_dim", 512);
  fields.ignore({"logit_scale_init_value", "initializer_factor", "text_config_dict", "vision_config_dict"});
  return d;
}

/// SiglipTextConfig.
Description read_siglip_text(Fields& fields) {
  Description d = read_encoder_of_either(fields, "gelu_pytorch_tanh");
  d.vocab = fields.size("vocab_size", 32000);
  d.positions = fields.size("max_position_embeddings", 64);
  d.learned_positions = true;
  d.projection = fields.size("projection_size", d.hidden);
  fields.ignore({"eos_token_id"});
  return d;
}

Description read_siglip(Fields& fields) {
  Description d = read_part(fields, kTextConfig, read_siglip_text);
  read_tower(fields, d, kSight, "siglip_vision_model");
  fields.ignore({"initializer_factor"});
  return d;
}

constexpr std::array kTasks = {Task::kContrastive, Task::kImageClassification};

std::unique_ptr<Model> build(const Builder& b) {
  if (b.description.task == Task::kImageClassification) return std::make_unique<ImageClassifier>(b);
  if (is_siglip(b)) return std::make_unique<SiglipContrastiveModel>(b);
  return std::make_unique<ContrastiveModel>(b);
}

}  // namespace

const Family kClip = {"clip", "CLIP",        "transformers 5.23, models/clip", Task::kContrastive, kTasks, read,
                      build,  &kSizesOfParts};

const Family kSiglip = {
    "siglip", "SigLIP",      "transformers 5.23, models/siglip", Task::kContrastive, kTasks, read_siglip,
    build,    &kSizesOfParts};

}  // namespace peakmem
