// ViT, and DeiT, which has a token for distillation besides (transformers 5.23, models/vit/modeling_vit.py and
// models/deit/modeling_deit.py).
#include <array>

#include "family/vit.h"

namespace peakmem {

PatchEmbeddings::PatchEmbeddings(const Builder& builder, const char* name, bool has_bias) : b(builder) {
  const Scope scope(b.tape, name);
  const Description& d = b.description;
  weight = b.parameter({b.dims.hidden, d.channels, d.patch, d.patch}, "weight");
  if (has_bias) bias = b.parameter({b.dims.hidden}, "bias");
}

Tensor PatchEmbeddings::convolve(const Tensor& pixel_values) const {
  const int64_t side = b.description.image / b.description.patch;
  return conv2d(pixel_values, weight, bias, side, side);
}

Tensor PatchEmbeddings::operator()(const Tensor& pixel_values) const {
  const Scope scope(b.tape, "patch_embeddings.projection");
  return in_a_row(convolve(pixel_values));
}

ImageAttention::ImageAttention(const Builder& builder, SoftmaxDtype softmax_dtype)
    : b(builder),
      softmax(softmax_dtype),
      q_proj(b, "q_proj", b.dims.hidden, b.dims.hidden, b.description.qkv_bias),
      k_proj(b, "k_proj", b.dims.hidden, b.dims.hidden, b.description.qkv_bias),
      v_proj(b, "v_proj", b.dims.hidden, b.dims.hidden, b.description.qkv_bias),
      o_proj(b, "o_proj", b.dims.hidden, b.dims.hidden, true) {}

Tensor ImageAttention::heads(const Linear& projection, const Tensor& hidden_states) const {
  return as_heads(projection(hidden_states), b.dims.heads, b.dims.head_dim);
}

AttentionOutput ImageAttention::operator()(const Tensor& hidden_states) const {
  const Scope scope(b.tape, "attention");
  const Tensor query_states = heads(q_proj, hidden_states);
  const Tensor key_states = heads(k_proj, hidden_states);
  const Tensor value_states = heads(v_proj, hidden_states);
  AttentionOutput attention = attend(query_states, key_states, value_states, {b, 1, Tensor(), false, softmax});
  attention.output = from_heads(attention.output);
  attention.output = o_proj(attention.output);
  return attention;
}

ImageMlp::ImageMlp(const Builder& builder)
    : b(builder), fc1(b, "fc1", b.dims.hidden, b.dims.ffn, true), fc2(b, "fc2", b.dims.ffn, b.dims.hidden, true) {}

Tensor ImageMlp::operator()(const Tensor& input) const {
  const Scope scope(b.tape, "mlp");
  Tensor hidden_states = fc1(input);
  hidden_states = activate(b.description.activation, hidden_states);
  hidden_states = fc2(hidden_states);
  return hidden_states;
}

Tensor drop_path(const Tensor& hidden_states) {
  Tape& tape = hidden_states.tape();
  Shape images = contiguous(hidden_states.shape());
  for (int i = 1; i < images.rank; ++i) images.size[static_cast<size_t>(i)] = 1;
  images = contiguous(images);
  Tensor drawn = tape.make(images, hidden_states.dtype(), "rand");
  Tensor shifted = tape.make(images, hidden_states.dtype(), "add");
  const Tensor random_tensor = tape.make(images, hidden_states.dtype(), "floor");
  shifted.reset();
  drawn.reset();
  return mul(div_scalar(hidden_states), random_tensor);
}

Tensor image_loss(const Builder& b, const Tensor& logits, const Batch& batch) {
  const bool are_classes = b.description.problem == Problem::kSingleLabel;
  return are_classes ? cross_entropy_of(logits, batch.labels, batch) : label_loss(b, logits, batch.labels);
}

Description read_image_encoder(Fields& fields) {
  Description d;
  d.hidden = fields.size("hidden_size", 768);
  d.layers = fields.size("num_hidden_layers", 12);
  d.heads = d.kv_heads = fields.size("num_attention_heads", 12);
  d.activation = read_activation(fields, "hidden_act", "gelu");
  d.hidden_dropout = fields.probability("hidden_dropout_prob", 0.0);
  d.attention_dropout = fields.probability("attention_probs_dropout_prob", 0.0);
  d.qkv_bias = fields.flag("qkv_bias", true);
  if (d.hidden % d.heads != 0)
    fields.fail("num_attention_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  d.head_dim = d.hidden / d.heads;
  return d;
}

void read_image(Fields& fields, Description& d, int64_t patch, int64_t tokens) {
  d.image = fields.size("image_size", 224);
  d.patch = fields.size("patch_size", patch);
  d.channels = fields.size("num_channels", 3);
  constexpr int64_t kLargest = 1 << 20;  // its square stays far below 2^63
  if (d.image > kLargest) fields.fail("image_size", "is over " + std::to_string(kLargest) + " pixels");
  if (d.patch > d.image) return fields.fail("patch_size", "is larger than the image");
  const int64_t side = d.image / d.patch;
  d.positions = d.image > kLargest ? 1 : side * side + tokens;
}

namespace {

bool is_deit(const Builder& b) { return b.description.family == "deit"; }
/// What the encoder is called.
const char* body_name(const Builder& b) { return is_deit(b) ? "deit" : "vit"; }

/// ViTEmbeddings, DeiTEmbeddings.
struct Embeddings {
  const Builder& b;
  Tensor cls_token;
  Tensor position_embeddings;
  Tensor distillation_token;  // empty where there is none
  PatchEmbeddings patch_embeddings;

  explicit Embeddings(const Builder& builder)
      : b(builder),
        cls_token(b.parameter({1, 1, b.dims.hidden}, "cls_token")),
        position_embeddings(b.parameter({1, b.dims.seq, b.dims.hidden}, "position_embeddings")),
        distillation_token(is_deit(b) ? b.parameter({1, 1, b.dims.hidden}, "distillation_token") : Tensor()),
        patch_embeddings(named<PatchEmbeddings>(b, "patch_embeddings")) {}

  Tensor operator()(const Tensor& pixel_values) const {
    const Scope scope(b.tape, "embeddings");
    Tensor embeddings = inputs_embeds(b, patch_embeddings(pixel_values));
    const Shape one_each = {b.dims.batch, 1, b.dims.hidden};
    const Tensor cls_tokens = expand(cls_token, one_each);
    if (distillation_token)
      embeddings = cat({cls_tokens, expand(distillation_token, one_each), embeddings}, 1);
    else
      embeddings = cat(cls_tokens, embeddings, 1);
    embeddings = add(embeddings, position_embeddings);
    embeddings = dropout(embeddings, b.description.hidden_dropout);
    return embeddings;
  }
};

/// ViTLayer.
struct Layer {
  const Builder& b;
  ImageAttention attention;
  LayerNorm layernorm_before;
  LayerNorm layernorm_after;
  ImageMlp mlp;

  explicit Layer(const Builder& builder)
      : b(builder),
        attention(named<ImageAttention>(b, "attention", SoftmaxDtype::kFullPrecision)),
        layernorm_before(b, "layernorm_before", b.dims.hidden),
        layernorm_after(b, "layernorm_after", b.dims.hidden),
        mlp(named<ImageMlp>(b, "mlp")) {}

  Tensor operator()(const Tensor& input) const {
    Tensor residual = input;
    Tensor hidden_states = layernorm_before(input);
    AttentionOutput attended = attention(hidden_states);
    hidden_states = std::move(attended.output);
    hidden_states = dropout(hidden_states, b.description.hidden_dropout);
    hidden_states = add(hidden_states, residual);
    residual = hidden_states;
    hidden_states = layernorm_after(hidden_states);
    hidden_states = mlp(hidden_states);
    hidden_states = dropout(hidden_states, b.description.hidden_dropout);
    hidden_states = add(hidden_states, residual);
    return hidden_states;
  }
};

/// ViTModel without its pooler.
struct Encoder {
  const Builder& b;
  Embeddings embeddings;
  Layers<Layer> layers;
  LayerNorm layernorm;

  explicit Encoder(const Builder& builder)
      : b(builder),
        embeddings(named<Embeddings>(b, "embeddings")),
        layers(b, b.description.runs, b.dims.runs, [this](bool) { return named<Layer>(b, "layers.*"); }),
        layernorm(b, "layernorm", b.dims.hidden) {}

  Tensor operator()(const Tensor& images) const {
    const Scope scope(b.tape, body_name(b));
    const Tensor pixel_values = to(images, b.structure.weights);
    const Tensor embedding_output = embeddings(pixel_values);
    Tensor hidden_states = embedding_output;
    layers.run([&](const Layer& layer) {
      const Scope named_layer(b.tape, "layers.*");
      hidden_states = checkpoint(
          b.structure.checkpointing, [&layer](const Tensor& input, const Tensor&) { return layer(input); },
          hidden_states);
    });
    return layernorm(hidden_states);
  }
};

/// ViTForImageClassification.
class Classifier : public Model {
 public:
  explicit Classifier(const Builder& b)
      : b_(b),
        vit_(named<Encoder>(b_, body_name(b_))),
        classifier_(b_, "classifier", b.dims.hidden, b.dims.labels, true) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor sequence_output = vit_(batch.pixel_values);
    const Tensor pooled_output = select_first(sequence_output);
    const Tensor logits = classifier_(pooled_output);
    return {image_loss(b_, logits, batch), logits};
  }

 private:
  Builder b_;
  Encoder vit_;
  Linear classifier_;
};

/// `tokens`: how many there are besides the patches.
Description read_encoder(Fields& fields, int64_t tokens) {
  Description d = read_image_encoder(fields);
  d.ffn = fields.size("intermediate_size", 3072);
  read_image(fields, d, 16, tokens);
  fields.ignore({"encoder_stride", "pooler_output_size", "pooler_act"});  // of heads that are not modelled
  return d;
}

Description read(Fields& fields) { return read_encoder(fields, 1); }
Description read_deit(Fields& fields) { return read_encoder(fields, 2); }

constexpr std::array kTasks = {Task::kImageClassification};

std::unique_ptr<Model> build(const Builder& b) { return std::make_unique<Classifier>(b); }

}  // namespace

const Family kVit = {"vit", "ViT", "transformers 5.23, models/vit", Task::kImageClassification, kTasks, read, build};
const Family kDeit = {"deit",    "DeiT", "transformers 5.23, models/deit", Task::kImageClassification, kTasks,
                      read_deit, build};

}  // namespace peakmem
