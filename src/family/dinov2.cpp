// DINOv2: ViT whose layers scale what they add (transformers 5.23, models/dinov2/modeling_dinov2.py).
#include <array>
#include <optional>

#include "family/vit.h"
#include "trace/mean.h"

namespace peakmem {
namespace {

/// Dinov2Embeddings.
struct Embeddings {
  const Builder& b;
  Tensor cls_token;
  Tensor mask_token;  // of pre-training: no gradient ever reaches it
  Tensor position_embeddings;
  PatchEmbeddings patch_embeddings;

  explicit Embeddings(const Builder& builder)
      : b(builder),
        cls_token(b.parameter({1, 1, b.dims.hidden}, "cls_token")),
        mask_token(b.description.has_mask_token ? b.parameter({1, b.dims.hidden}, "mask_token") : Tensor()),
        position_embeddings(b.parameter({1, b.dims.seq, b.dims.hidden}, "position_embeddings")),
        patch_embeddings(named<PatchEmbeddings>(b, "patch_embeddings")) {}

  Tensor operator()(const Tensor& pixel_values) const {
    const Scope scope(b.tape, "embeddings");
    Tensor embeddings = inputs_embeds(b, patch_embeddings(pixel_values));
    const Tensor cls_tokens = expand(cls_token, {b.dims.batch, 1, b.dims.hidden});
    embeddings = cat(cls_tokens, embeddings, 1);
    embeddings = add(embeddings, position_embeddings);
    embeddings = dropout(embeddings, b.description.hidden_dropout);
    return embeddings;
  }
};

/// Dinov2SwiGLUFFN.
struct GatedMlp {
  const Builder& b;
  Linear gate_proj, up_proj, down_proj;

  explicit GatedMlp(const Builder& builder)
      : b(builder),
        gate_proj(b, "gate_proj", b.dims.hidden, b.dims.ffn, true),
        up_proj(b, "up_proj", b.dims.hidden, b.dims.ffn, true),
        down_proj(b, "down_proj", b.dims.ffn, b.dims.hidden, true) {}

  Tensor operator()(const Tensor& x) const {
    const Scope scope(b.tape, "mlp");
    Tensor gate = silu(gate_proj(x));
    return down_proj(mul(std::move(gate), up_proj(x)));
  }
};

/// Dinov2Layer.
struct Layer {
  const Builder& b;
  LayerNorm norm1;
  ImageAttention attention;
  Tensor lambda1;
  LayerNorm norm2;
  std::optional<ImageMlp> mlp;
  std::optional<GatedMlp> gated_mlp;
  Tensor lambda2;

  explicit Layer(const Builder& builder)
      : b(builder),
        norm1(b, "norm1", b.dims.hidden),
        attention(named<ImageAttention>(b, "attention", SoftmaxDtype::kAsItComes)),
        lambda1(scale("layer_scale1")),
        norm2(b, "norm2", b.dims.hidden) {
    {
      const Scope scope(b.tape, "mlp");
      if (b.description.gated)
        gated_mlp.emplace(b);
      else
        mlp.emplace(b);
    }
    lambda2 = scale("layer_scale2");
  }

  /// Dinov2LayerScale.
  Tensor scale(const char* name) const {
    const Scope scope(b.tape, name);
    return b.parameter({b.dims.hidden}, "lambda1");
  }

  Tensor operator()(const Tensor& input) const {
    Tensor residual = input;
    Tensor hidden_states = norm1(input);
    AttentionOutput attended = attention(hidden_states);
    hidden_states = std::move(attended.output);
    hidden_states = mul(hidden_states, lambda1);
    hidden_states = add(hidden_states, residual);
    residual = hidden_states;
    hidden_states = norm2(hidden_states);
    hidden_states = mlp ? (*mlp)(hidden_states) : (*gated_mlp)(hidden_states);
    hidden_states = mul(hidden_states, lambda2);
    hidden_states = add(hidden_states, residual);
    return hidden_states;
  }
};

/// Dinov2Model.
struct Encoder {
  const Builder& b;
  Embeddings embeddings;
  Layers<Layer> layers;
  LayerNorm layernorm;

  explicit Encoder(const Builder& builder)
      : b(builder),
        embeddings(named<Embeddings>(b, "embeddings")),
        layers(b, b.description.runs, b.dims.runs, [this](bool) { return named<Layer>(b, kLayers); }),
        layernorm(b, "layernorm", b.dims.hidden) {}

  Tensor operator()(const Tensor& pixel_values) const {
    const Scope scope(b.tape, "dinov2");
    const Tensor embedding_output = embeddings(to(pixel_values, b.structure.weights));
    Tensor hidden_states = embedding_output;
    layers.run([&](const Layer& layer) {
      const Scope named_layer(b.tape, kLayers);
      hidden_states = checkpoint(
          b.structure.checkpointing, [&layer](const Tensor& input, const Tensor&) { return layer(input); },
          hidden_states);
    });
    return layernorm(hidden_states);
  }

  static constexpr const char* kLayers = "encoder.layer.*";
};

/// Dinov2ForImageClassification.
class Classifier : public Model {
 public:
  explicit Classifier(const Builder& b)
      : b_(b),
        dinov2_(named<Encoder>(b_, "dinov2")),
        classifier_(b_, "classifier", 2 * b.dims.hidden, b.dims.labels, true) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor sequence_output = dinov2_(batch.pixel_values);
    const Tensor cls_token = select_first(sequence_output);
    const Tensor patch_tokens = slice(sequence_output, 1, b_.dims.seq - 1);
    const Tensor linear_input = cat(cls_token, mean_dim(patch_tokens, 1), 1);
    const Tensor logits = classifier_(linear_input);
    return {image_loss(b_, logits, batch), logits};
  }

 private:
  Builder b_;
  Encoder dinov2_;
  Linear classifier_;
};

/// A gated MLP is two thirds as wide, rounded up to a multiple of 8.
int64_t read_ffn(Fields& fields, const Description& d) {
  constexpr int64_t kRound = 8;
  const int64_t wide = d.hidden * fields.size("mlp_ratio", 4);
  return d.gated ? (wide * 2 / 3 + kRound - 1) / kRound * kRound : wide;
}

Description read(Fields& fields) {
  Description d = read_image_encoder(fields);
  d.gated = fields.flag("use_swiglu_ffn", false);
  d.ffn = read_ffn(fields, d);
  d.has_mask_token = fields.flag("use_mask_token", true);
  read_image(fields, d, 14, 1);
  if (fields.probability("drop_path_rate", 0.0) > 0.0)
    fields.fail("drop_path_rate", "drops paths by chance, which is not modelled", "set it to 0");
  fields.ignore({"layerscale_value", "apply_layernorm", "reshape_hidden_states", "out_features", "out_indices",
                 "stage_names", "_out_features", "_out_indices"});
  return d;
}

constexpr std::array kTasks = {Task::kImageClassification};

std::unique_ptr<Model> build(const Builder& b) { return std::make_unique<Classifier>(b); }

constexpr SizeNames kSizes = {"num_hidden_layers", "num_attention_heads", "hidden_size", nullptr};

}  // namespace

const Family kDinov2 = {
    "dinov2", "DINOv2", "transformers 5.23, models/dinov2", Task::kImageClassification, kTasks, read, build, &kSizes};

}  // namespace peakmem
