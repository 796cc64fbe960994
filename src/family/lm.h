// Heads over a body that is a family's own (a Body), which hands on what its layers weighed:
//
//     Body(b);  (input_ids) -> hidden_states;  embedding_weight();  kName, by which a model holds it
#pragma once

#include <memory>
#include <utility>

#include "family/family.h"
#include "model/cache.h"
#include "model/outer_units.h"
#include "model/task_heads.h"

namespace peakmem {

/// A layer under a checkpoint: what one that runs again hands on is dropped, since the backward pass does not ask for
/// it. `layer`: (hidden_states) -> AttentionOutput.
template <class Layer>
AttentionOutput run_layer(const Builder& b, Layer layer, const Tensor& hidden_states) {
  const auto weights = std::make_shared<Tensor>();
  Tensor output = checkpoint(
      b.structure.checkpointing,
      [layer = std::move(layer), &tape = b.tape, weights](const Tensor& input, const Tensor&) {
        AttentionOutput given = layer(input);
        if (!tape.runs_again) *weights = std::move(given.weights);
        return std::move(given.output);
      },
      hidden_states);
  return {std::move(output), std::exchange(*weights, {})};
}

/// BloomForCausalLM and its like.
template <class Body>
class LanguageModel : public Model {
 public:
  explicit LanguageModel(const Builder& b) : b_(b), body_(named<Body>(b_, Body::kName)), lm_head_(head(b_, body_)) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor hidden_states = body_(batch.input_ids);
    if (makes_no_logits(b_.structure.kernels.loss))
      return fused_lm_loss(b_, hidden_states, head_weight(b_, lm_head_.weight()), batch);
    const Tensor logits = call_in_outer_unit(b_.tape, Outer::kHead, [&] { return lm_head_(hidden_states); });
    if (b_.structure.kernels.loss == LossKernel::kPlain) return {Tensor(), logits, {}, take_cache(b_)};
    Tensor loss = causal_lm_loss(b_, logits, batch);
    return {std::move(loss), logits, {}, take_cache(b_)};
  }

 private:
  static Linear head(const Builder& b, const Body& body) {
    return in_outer_unit(b, Outer::kHead, [&] {
      return b.description.tied ? Linear(b, "lm_head", body.embedding_weight())
                                : Linear(b, "lm_head", b.dims.hidden, b.dims.vocab, false);
    });
  }

  Builder b_;
  Body body_;
  Linear lm_head_;
};

/// GPT2ForSequenceClassification and its like: the last token's scores.
template <class Body>
class LastTokenClassifier : public Model {
 public:
  explicit LastTokenClassifier(const Builder& b)
      : b_(b), body_(named<Body>(b_, Body::kName)), score_(b_, "score", b.dims.hidden, b.dims.labels, false) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor hidden_states = body_(batch.input_ids);
    const Tensor logits = score_(hidden_states);
    return last_token_output(b_, logits, batch.input_ids, batch.labels);
  }

 private:
  Builder b_;
  Body body_;
  Linear score_;
};

/// A family's `build`.
template <class Body>
std::unique_ptr<Model> build_lm(const Builder& b) {
  if (has_common_head(b.description.task))
    return build_common_head(b, {"classifier"}, [](const Builder& own) { return body_call<Body>(own, Body::kName); });
  if (b.description.task == Task::kSequenceClassification) return std::make_unique<LastTokenClassifier<Body>>(b);
  return std::make_unique<LanguageModel<Body>>(b);
}

}  // namespace peakmem
