// GPT-2's model (transformers 5.23, models/gpt2/modeling_gpt2.py) made of parts. What a family has otherwise it names:
//
//     Projection     (b, name, in, out);  (input) -> output, with a bias
//     Attention      (b);  (hidden_states, mask) -> AttentionOutput
//     positions      (b) -> position_ids, static; kBlocksGetPositions, so that checkpoints hold them; kMasksFirst,
//     where 5.23
//                    makes the mask before positions are looked up
//     causal_buffer  (b) -> a buffer of the model or nothing, static
//     loss           (b, logits, batch) -> the loss of a language model, static
#pragma once

#include <memory>

#include "family/lm.h"
#include "model/cache.h"
#include "model/masks.h"

namespace peakmem {

inline constexpr SizeNames kGpt2Sizes = {"n_layer", "n_head", "n_embd", "n_inner"};

/// torch.nn.Linear with a bias.
struct BiasedLinear : Linear {
  BiasedLinear(const Builder& b, const char* name, Expr in, Expr out) : Linear(b, name, in, out, true) {}
};

/// GPT2MLP.
template <class Projection>
struct Gpt2Mlp {
  const Builder& b;
  Projection c_fc;
  Projection c_proj;

  explicit Gpt2Mlp(const Builder& builder)
      : b(builder), c_fc(b, "c_fc", b.dims.hidden, b.dims.ffn), c_proj(b, "c_proj", b.dims.ffn, b.dims.hidden) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, "mlp");
    Tensor hidden_states = c_fc(input);
    hidden_states = activate(b.description.activation, hidden_states);
    hidden_states = c_proj(hidden_states);
    hidden_states = dropout(hidden_states, b.description.hidden_dropout);
    return hidden_states;
  }
};

/// GPT2Block.
template <class Parts>
struct Gpt2Block {
  using Attention = typename Parts::Attention;
  using Mlp = Gpt2Mlp<typename Parts::Projection>;

  LayerNorm ln_1;
  Attention attn;
  LayerNorm ln_2;
  Mlp mlp;

  explicit Gpt2Block(const Builder& b)
      : ln_1(b, "ln_1", b.dims.hidden),
        attn(named<Attention>(b, "attn")),
        ln_2(b, "ln_2", b.dims.hidden),
        mlp(named<Mlp>(b, "mlp")) {}

  Tensor operator()(const Tensor& input, const Tensor& mask) const {
    Tensor residual = input;
    Tensor hidden_states = ln_1(input);
    const AttentionOutput attention = attn(hidden_states, mask);
    hidden_states = add(attention.output, residual);
    residual = hidden_states;
    hidden_states = ln_2(hidden_states);
    const Tensor feed_forward = mlp(hidden_states);
    hidden_states = add(residual, feed_forward);
    return hidden_states;
  }
};

/// GPT2Model.
template <class Parts>
struct Gpt2Transformer {
  using Block = Gpt2Block<Parts>;
  static constexpr const char* kName = "transformer";

  const Builder& b;
  Embedding wte;
  Embedding wpe;
  Layers<Block> h;
  LayerNorm ln_f;
  Tensor bias;  // the causal triangle, of families that keep one

  explicit Gpt2Transformer(const Builder& builder)
      : b(builder),
        wte(in_outer_unit(b, Outer::kEmbedding, [this] { return Embedding(b, "wte", b.dims.vocab, b.dims.hidden); })),
        wpe(b, "wpe", b.dims.positions, b.dims.hidden),
        h(b, b.description.runs, b.dims.runs, [this](bool) { return named<Block>(b, "h.*"); }),
        ln_f(in_outer_unit(b, Outer::kNorm, [this] { return LayerNorm(b, "ln_f", b.dims.hidden); })),
        bias(Parts::causal_buffer(b)) {}

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b.tape, "transformer");
    Tensor position_embeds;  // goes after inputs_embeds
    Tensor embedded = call_in_outer_unit(b.tape, Outer::kEmbedding, [&] { return wte(input_ids); });
    const Tensor inputs_embeds = peakmem::inputs_embeds(b, std::move(embedded));
    const Tensor positions = Parts::positions(b);
    const bool masks_first = Parts::kMasksFirst && b.structure.transformers == Transformers::kV523;
    Tensor mask = masks_first ? causal_mask(b, false, inputs_embeds.dtype()) : Tensor();
    position_embeds = wpe(positions);
    Tensor hidden_states = add(inputs_embeds, position_embeds);
    if (!masks_first) mask = causal_mask(b, false, inputs_embeds.dtype());
    hidden_states = dropout(hidden_states, b.description.embedding_dropout);
    const Tensor held = Parts::kBlocksGetPositions ? positions : Tensor();
    h.run([&](const Block& block) {
      const Scope layer(b.tape, "h.*");
      hidden_states = checkpoint(
          b.structure.checkpointing,
          [&block, held](const Tensor& input, const Tensor& seen) { return block(input, seen); }, hidden_states, mask);
    });
    return call_in_outer_unit(b.tape, Outer::kNorm, [&] { return ln_f(hidden_states); });
  }
};

/// GPT2LMHeadModel.
template <class Parts>
class Gpt2LmHead : public Model {
 public:
  explicit Gpt2LmHead(const Builder& b)
      : b_(b), transformer_(named<Transformer>(b_, "transformer")), lm_head_(head(b_, transformer_)) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor hidden_states = transformer_(batch.input_ids);
    if (makes_no_logits(b_.structure.kernels.loss))
      return fused_lm_loss(b_, hidden_states, head_weight(b_, lm_head_.weight()), batch);
    const Tensor logits = call_in_outer_unit(b_.tape, Outer::kHead, [&] { return lm_head_(hidden_states); });
    if (b_.structure.kernels.loss == LossKernel::kPlain) return {Tensor(), logits, {}, take_cache(b_)};
    Tensor loss = Parts::loss(b_, logits, batch);
    return {std::move(loss), logits, {}, take_cache(b_), b_.structure.transformers != Transformers::kV523};
  }

 private:
  using Transformer = Gpt2Transformer<Parts>;

  static Linear head(const Builder& b, const Transformer& transformer) {
    return in_outer_unit(b, Outer::kHead, [&] {
      return b.description.tied ? Linear(b, "lm_head", transformer.wte.weight())
                                : Linear(b, "lm_head", b.dims.hidden, b.dims.vocab, false);
    });
  }

  Builder b_;
  Transformer transformer_;
  Linear lm_head_;
};

/// A family's `build`.
template <class Parts>
std::unique_ptr<Model> build_gpt2(const Builder& b) {
  if (has_common_head(b.description.task))
    return build_common_head(b, {"classifier"},
                             [](const Builder& own) { return body_call<Gpt2Transformer<Parts>>(own, "transformer"); });
  if (b.description.task == Task::kSequenceClassification)
    return std::make_unique<LastTokenClassifier<Gpt2Transformer<Parts>>>(b);
  return std::make_unique<Gpt2LmHead<Parts>>(b);
}

/// The fields that configs of the kind share, with GPT-2's defaults.
Description read_gpt2(Fields& fields, std::string_view activation);

}  // namespace peakmem
