#include "megatron/gpt.h"

namespace peakmem::mcore {
namespace {

/// Which tokens are another rank's, and the tokens as this rank's rows.
struct Masked {
  Tensor mask, tokens;
};

Masked masked_to(Tape& tape, const Tensor& tokens) {
  Masked masked;
  {
    const Tensor below = tape.make(tokens.shape(), DType::kBool, "lt");
    const Tensor above = tape.make(tokens.shape(), DType::kBool, "ge");
    masked.mask = tape.make(tokens.shape(), DType::kBool, "bitwise_or");
  }
  const Tensor copy = tape.make(tokens.shape(), DType::kInt64, "clone");
  masked.tokens = tape.make(tokens.shape(), DType::kInt64, "sub");
  return masked;
}

void zero_rows_backward(Gradients& g) { g.out[0] = g.in[0]; }
const Op kZeroRows = {"index_put_", zero_rows_backward};

/// output[mask, :] = 0.0
Tensor zero_rows(Tensor output, const Tensor& mask) {
  const Tensor x = std::move(output);
  Tape& tape = x.tape();
  Node* node = tape.record(kZeroRows, {&x});
  tape.save(node, mask);
  Tensor result = tape.look(x, x.shape(), false);
  Tape::attach(node, result);
  return result;
}

// Zeros into which the rows are added, and no more, on fake tensors as on real ones (weight[tokens]).
void take_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "new_zeros");
}
const Op kTake = {"index", take_backward};

Tensor take(const Tensor& weight, const Tensor& tokens) {
  Tape& tape = weight.tape();
  Node* node = tape.record(kTake, {&weight});
  tape.save(node, tokens);
  Tensor result = tape.make({tokens.size(0), tokens.size(1), weight.size(1)}, weight.dtype(), kTake.name);
  Tape::attach(node, result);
  return result;
}

}  // namespace

VocabParallelEmbedding::VocabParallelEmbedding(const Builder& b, bool scatters) : b_(b), scatters_(scatters) {
  const Job& job = b.job;
  const bool shared = job.model.tied && job.degrees.pp > 1;
  const Scope scope(b.tape, "word_embeddings");
  weight_ = b.parameter({job.model.vocab / b.tp(), job.model.hidden}, "weight", {.shared = shared});
}

Tensor VocabParallelEmbedding::operator()(const Tensor& tokens) const {
  const Masked masked = b_.tp() > 1 ? masked_to(b_.tape, tokens) : Masked{{}, tokens};
  Tensor output = b_.job.kernels.deterministic ? take(weight_, masked.tokens) : embedding(masked.tokens, weight_);
  if (b_.tp() > 1) output = zero_rows(std::move(output), masked.mask);
  if (!scatters_) return output;
  output = contiguous(transpose(output, 0, 1));
  return reduce_scatter_first(output, b_.tp());
}

Embedding::Embedding(const Builder& b)
    : b_(b), word_embeddings_(b, b.job.degrees.sequence_parallel && b.job.model.position == Positions::kRotary) {
  if (b.job.model.position != Positions::kLearned) return;
  const Scope scope(b.tape, "position_embeddings");
  position_embeddings_ = b.parameter({b.job.model.positions, b.job.model.hidden}, "weight", {.on_host = true});
}

// LanguageModelEmbedding.forward.
Tensor Embedding::operator()(const Tensor& tokens, const Tensor& position_ids) const {
  const Scope scope(b_.tape, "embedding");
  const bool learned = b_.job.model.position == Positions::kLearned;
  const bool divided = b_.job.degrees.sequence_parallel;
  const Tensor word_embeddings = word_embeddings_(tokens);
  const Tensor positions = learned ? embedding(position_ids, position_embeddings_) : Tensor();
  Tensor embeddings = learned ? add(word_embeddings, positions) : word_embeddings;
  if (!divided || learned) embeddings = contiguous(transpose(embeddings, 0, 1));
  if (divided) {
    if (learned) embeddings = scatter_first(embeddings, b_.tp());
    embeddings = clone(embeddings, contiguous(embeddings.shape()));
  }
  return dropout(embeddings, b_.job.model.hidden_dropout);
}

}  // namespace peakmem::mcore
