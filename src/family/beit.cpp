// BEiT: a ViT whose attention is biased by how patches lie to each other (transformers 5.23,
// models/beit/modeling_beit.py).
#include <array>

#include "family/vit.h"
#include "trace/image_ops.h"
#include "trace/mean.h"
#include "trace/parts.h"

namespace peakmem {
namespace {

/// BeitEmbeddings.
struct Embeddings {
  const Builder& b;
  Tensor cls_token;
  Tensor mask_token;           // no training uses it
  Tensor position_embeddings;  // empty where there are none
  PatchEmbeddings patch_embeddings;

  explicit Embeddings(const Builder& builder)
      : b(builder),
        cls_token(b.parameter({1, 1, b.dims.hidden}, "cls_token")),
        mask_token(b.description.has_mask_token ? b.parameter({1, 1, b.dims.hidden}, "mask_token") : Tensor()),
        position_embeddings(b.description.adds_positions
                                ? b.parameter({1, b.dims.seq, b.dims.hidden}, "position_embeddings")
                                : Tensor()),
        patch_embeddings(named<PatchEmbeddings>(b, "patch_embeddings")) {}

  Tensor operator()(const Tensor& pixel_values) const {
    const Scope scope(b.tape, "embeddings");
    Tensor embeddings = inputs_embeds(b, patch_embeddings(pixel_values));
    const Tensor cls_tokens = expand(cls_token, {b.dims.batch, 1, b.dims.hidden});
    embeddings = cat(cls_tokens, embeddings, 1);
    if (position_embeddings) embeddings = add(embeddings, position_embeddings);
    embeddings = dropout(embeddings, b.description.hidden_dropout);
    return embeddings;
  }
};

/// BeitRelativePositionBias: a row for every distance within the image, and three for the first token's.
struct RelativePositionBias {
  static constexpr int64_t kOfFirstToken = 3;
  const Builder& b;
  int64_t distances;  // within the image
  Tensor relative_position_bias_table;

  explicit RelativePositionBias(const Builder& builder)
      : b(builder),
        distances((2 * side() - 1) * (2 * side() - 1)),
        relative_position_bias_table(
            b.parameter({distances + kOfFirstToken, b.dims.heads}, "relative_position_bias_table")) {}

  /// [1, heads, T, T]
  Tensor operator()(const char* name) const {
    const Scope scope(b.tape, name);
    const Tensor old_sub_table = slice(relative_position_bias_table, 0, distances);
    const Tensor new_sub_table = upsample_bilinear(old_sub_table);
    const Tensor table = cat(new_sub_table, slice(relative_position_bias_table, 0, kOfFirstToken), 0);
    Tensor bias = split_dim(take_rows_by_host(table, b.dims.seq * b.dims.seq), 0, b.dims.seq, b.dims.seq);
    bias = contiguous(transpose(transpose(std::move(bias), 1, 2), 0, 1));
    return unsqueeze(std::move(bias), 0);
  }

 private:
  int64_t side() const { return b.description.image / b.description.patch; }
};

/// BeitAttention: keys have no bias.
struct Attention {
  const Builder& b;
  Linear q_proj, k_proj, v_proj, o_proj;

  explicit Attention(const Builder& builder)
      : b(builder),
        q_proj(b, "q_proj", b.dims.hidden, b.dims.hidden, true),
        k_proj(b, "k_proj", b.dims.hidden, b.dims.hidden, false),
        v_proj(b, "v_proj", b.dims.hidden, b.dims.hidden, true),
        o_proj(b, "o_proj", b.dims.hidden, b.dims.hidden, true) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Tensor& mask) const {
    const Scope scope(b.tape, "attention");
    const auto heads = [&](const Linear& projection) {
      return as_heads(projection(hidden_states), b.dims.heads, b.dims.head_dim);
    };
    const Tensor query_states = heads(q_proj);
    const Tensor key_states = heads(k_proj);
    const Tensor value_states = heads(v_proj);
    AttentionOutput attention =
        attend(query_states, key_states, value_states, {b, 1, mask, false, SoftmaxDtype::kFullPrecision});
    attention.output = from_heads(attention.output);
    attention.output = o_proj(attention.output);
    return attention;
  }
};

/// BeitLayer; the first one drops no paths.
struct Layer {
  const Builder& b;
  bool drops_paths;
  Tensor lambda_1, lambda_2;
  Attention attention;
  LayerNorm layernorm_before, layernorm_after;
  ImageMlp mlp;
  std::optional<RelativePositionBias> relative_position_bias;

  Layer(const Builder& builder, bool is_first)
      : b(builder),
        drops_paths(b.description.drops_paths && !is_first),
        lambda_1(scale("lambda_1")),
        lambda_2(scale("lambda_2")),
        attention(named<Attention>(b, "attention")),
        layernorm_before(b, "layernorm_before", b.dims.hidden),
        layernorm_after(b, "layernorm_after", b.dims.hidden),
        mlp(named<ImageMlp>(b, "mlp")) {
    if (b.description.biases_layers)
      relative_position_bias.emplace(named<RelativePositionBias>(b, "relative_position_bias"));
  }

  Tensor operator()(const Tensor& input, const Tensor& shared) const {
    const Tensor own = relative_position_bias ? (*relative_position_bias)("relative_position_bias") : Tensor();
    const Tensor mask = own && shared ? add(own, shared) : own ? own : shared;
    Tensor residual = input;
    Tensor hidden_states = layernorm_before(input);
    AttentionOutput attended = attention(hidden_states, mask);
    hidden_states = std::move(attended.output);
    hidden_states = close(std::move(hidden_states), lambda_1, residual);
    residual = hidden_states;
    hidden_states = layernorm_after(hidden_states);
    hidden_states = mlp(hidden_states);
    hidden_states = close(std::move(hidden_states), lambda_2, residual);
    return hidden_states;
  }

 private:
  Tensor scale(const char* name) const {
    return b.description.scales_layers ? b.parameter({b.dims.hidden}, name) : Tensor();
  }
  Tensor close(Tensor hidden_states, const Tensor& lambda, const Tensor& residual) const {
    hidden_states = dropout(hidden_states, b.description.hidden_dropout);
    hidden_states = lambda ? mul(lambda, hidden_states) : mul_scalar(hidden_states);
    const bool drops = drops_paths && b.tape.training;
    return add(drops ? drop_path(hidden_states) : hidden_states, residual);
  }
};

/// BeitModel.
struct Encoder {
  struct Output {
    Tensor sequence, pooled;
  };
  const Builder& b;
  Embeddings embeddings;
  std::optional<RelativePositionBias> shared_position_bias;
  std::optional<Layers<Layer>> layers;
  std::optional<LayerNorm> layernorm;  // over all tokens, or over their mean

  explicit Encoder(const Builder& builder) : b(builder), embeddings(named<Embeddings>(b, "embeddings")) {
    if (b.description.biases_all) shared_position_bias.emplace(named<RelativePositionBias>(b, "shared_position_bias"));
    layers.emplace(b, b.description.runs, b.dims.runs,
                   [this](bool is_first) { return named<Layer>(b, "layers.*", is_first); });
    layernorm.emplace(b, b.description.pools_mean ? "pooler.layernorm" : "layernorm", b.dims.hidden);
  }

  Output operator()(const Tensor& images) const {
    const Scope scope(b.tape, "beit");
    const Tensor pixel_values = b.structure.casts_inputs ? to(images, b.structure.weights) : images;
    const Tensor embedding_output = embeddings(pixel_values);
    const Tensor mask = shared_position_bias ? (*shared_position_bias)("shared_position_bias") : Tensor();
    Tensor hidden_states = embedding_output;
    layers->run([&](const Layer& layer) {
      const Scope named_layer(b.tape, "layers.*");
      hidden_states = checkpoint(
          b.structure.checkpointing,
          [&layer](const Tensor& input, const Tensor& shared) { return layer(input, shared); }, hidden_states, mask);
    });
    if (b.description.pools_mean)
      return {hidden_states, (*layernorm)(mean_dim(slice(hidden_states, 1, b.dims.seq - 1), 1))};
    hidden_states = (*layernorm)(hidden_states);
    return {hidden_states, select_first(hidden_states)};
  }
};

/// BeitForImageClassification.
class Classifier : public Model {
 public:
  explicit Classifier(const Builder& b)
      : b_(b), beit_(named<Encoder>(b_, "beit")), classifier_(b_, "classifier", b.dims.hidden, b.dims.labels, true) {}

  ModelOutput forward(const Batch& batch) override {
    const Encoder::Output outputs = beit_(batch.pixel_values);
    const Tensor logits = classifier_(outputs.pooled);
    return {image_loss(b_, logits, batch), logits};
  }

 private:
  Builder b_;
  Encoder beit_;
  Linear classifier_;
};

Description read(Fields& fields) {
  Description d = read_image_encoder(fields);
  d.ffn = fields.size("intermediate_size", 3072);
  read_image(fields, d, 16, 1);
  d.has_mask_token = fields.flag("use_mask_token", false);
  d.adds_positions = fields.flag("use_absolute_position_embeddings", false);
  d.biases_layers = fields.flag("use_relative_position_bias", false);
  d.biases_all = fields.flag("use_shared_relative_position_bias", false);
  d.pools_mean = fields.flag("use_mean_pooling", true);
  d.drops_paths = fields.probability("drop_path_rate", 0.1) > 0.0;
  d.scales_layers = !fields.has("layer_scale_init_value") || fields.find("layer_scale_init_value")->real > 0.0;
  d.takes_images_as_weights = true;
  d.runs = {{1, true}};
  if (d.layers > 1) d.runs.push_back({d.layers - 1, false});
  fields.ignore({"layer_scale_init_value", "vocab_size", "pool_scales", "use_auxiliary_head", "auxiliary_loss_weight",
                 "auxiliary_channels", "auxiliary_num_convs", "auxiliary_concat_input", "semantic_loss_ignore_index",
                 "out_features", "out_indices", "stage_names", "_out_features", "_out_indices", "add_fpn",
                 "reshape_hidden_states"});  // of other heads
  return d;
}

constexpr std::array kTasks = {Task::kImageClassification};

std::unique_ptr<Model> build(const Builder& b) { return std::make_unique<Classifier>(b); }

}  // namespace

const Family kBeit = {"beit", "BEiT", "transformers 5.23, models/beit", Task::kImageClassification, kTasks,
                      read,   build};

}  // namespace peakmem
