#include "model/task_heads.h"

#include <optional>

#include "model/cache.h"

namespace peakmem {
namespace {

/// A body with a linear layer over every token.
class OverTokens : public Model {
 public:
  OverTokens(const Builder& b, const char* name, const HeadStyle& style, const MakeBody& body) : b_(b) {
    const Expr width = style.over_embeddings ? b_.dims.embedding : b_.dims.hidden;
    const auto make_head = [&] { head_.emplace(b_, name, width, b_.dims.labels, true); };
    if (style.head_first) make_head();
    body_ = body(b_);
    if (!style.head_first) make_head();
  }

 protected:
  Tensor logits(const Tensor& sequence_output) const { return (*head_)(sequence_output); }
  Tensor last_hidden_state(const Batch& batch) const { return body_(batch.input_ids); }

  Builder b_;  // the body's parts refer to it

 private:
  ModuleCall body_;
  std::optional<Linear> head_;
};

/// GenericForTokenClassification, BertForTokenClassification.
class TokenClassifier : public OverTokens {
 public:
  TokenClassifier(const Builder& b, const HeadStyle& style, const MakeBody& body)
      : OverTokens(b, style.classifier, style, body), upcasts_(style.upcasts) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor outputs = last_hidden_state(batch);
    const std::vector<Tensor> past_key_values = take_cache(b_);  // of the body's outputs, and not returned
    const Tensor sequence_output = dropout(outputs, b_.description.token_dropout);
    const Tensor scores = logits(sequence_output);
    return {loss(scores, batch.labels), scores};
  }

 private:
  Tensor loss(const Tensor& scores, const Tensor& labels) const {
    return token_loss(upcasts_ ? to(scores, DType::kFloat32) : scores, labels);
  }

  bool upcasts_;
};

/// GenericForQuestionAnswering, BertForQuestionAnswering.
class QuestionAnswering : public OverTokens {
 public:
  QuestionAnswering(const Builder& b, const HeadStyle& style, const MakeBody& body)
      : OverTokens(b, "qa_outputs", style, body) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor outputs = last_hidden_state(batch);
    const std::vector<Tensor> past_key_values = take_cache(b_);  // of the body's outputs, and not returned
    const Tensor sequence_output = dropout(outputs, b_.description.answer_dropout);
    const Tensor both = logits(sequence_output);
    auto [start_logits, end_logits] = split_in_two(both, 2);
    start_logits = contiguous(merge_dims(std::move(start_logits), 1, 2));
    end_logits = contiguous(merge_dims(std::move(end_logits), 1, 2));
    return {answer_loss(b_, start_logits, end_logits, batch), start_logits, {}, {}, false, end_logits};
  }
};

/// A body alone, whose loss is its user's.
class BareModel : public Model {
 public:
  BareModel(const Builder& b, const HeadStyle& style, const MakeBody& body) : b_(b), body_(body(b_)) {
    if (style.make_pooler != nullptr) pooler_ = style.make_pooler(b_);
  }

  ModelOutput forward(const Batch& batch) override {
    const Tensor last_hidden_state = body_(batch.pixel_values ? batch.pixel_values : batch.input_ids);
    const Tensor pooler_output = pooler_ ? pooler_(last_hidden_state) : Tensor();
    return {Tensor(), last_hidden_state, {}, take_cache(b_), false, pooler_output};
  }

 private:
  Builder b_;
  ModuleCall body_;
  ModuleCall pooler_;
};

}  // namespace

bool has_common_head(Task task) {
  return task == Task::kTokenClassification || task == Task::kQuestionAnswering || task == Task::kFeatureExtraction;
}

std::unique_ptr<Model> build_common_head(const Builder& b, const HeadStyle& style, const MakeBody& body) {
  if (b.description.task == Task::kTokenClassification) return std::make_unique<TokenClassifier>(b, style, body);
  if (b.description.task == Task::kQuestionAnswering) return std::make_unique<QuestionAnswering>(b, style, body);
  return std::make_unique<BareModel>(b, style, body);
}

}  // namespace peakmem
