// GPT-BigCode (SantaCoder, StarCoder): GPT-2 whose heads share one key and one value, and whose projections are linear
// layers (transformers 5.23, models/gpt_bigcode/modeling_gpt_bigcode.py; 4.48, with flash attention).
#include <array>

#include "family/gpt2.h"

namespace peakmem {
namespace {

/// GPTBigCodeAttention: query, keys and values by one projection.
struct SharedKeyAttention {
  const Builder& b;
  BiasedLinear c_attn;
  BiasedLinear c_proj;

  explicit SharedKeyAttention(const Builder& builder)
      : b(builder),
        c_attn(b, "c_attn", b.dims.hidden, b.dims.hidden + 2 * b.dims.kv_heads * b.dims.head_dim),
        c_proj(b, "c_proj", b.dims.hidden, b.dims.hidden) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Tensor& mask) const {
    const Scope scope(b.tape, "attn");
    const Dims& d = b.dims;
    auto [query, key, value] =
        b.structure.grouped ? of_one_head(c_attn(hidden_states)) : of_heads(c_attn(hidden_states));
    const Expr groups = b.structure.grouped ? d.heads : Expr(1);
    if (b.structure.transformers == Transformers::kV523)
      update_cache(b, key, value);
    else
      keep_present(b, key);
    AttentionOutput attention = attend(query, key, value, {b, groups, mask});
    attention.output = from_heads(attention.output);
    attention.output = c_proj(attention.output);
    attention.output = dropout(attention.output, b.description.hidden_dropout);
    return attention;
  }

 private:
  std::array<Tensor, 3> of_one_head(Tensor projected) const {
    const Dims& d = b.dims;
    auto [query, key, value] = split_in_three(std::move(projected), 2, {d.hidden, d.head_dim, d.head_dim});
    return {as_heads(std::move(query), d.heads, d.head_dim), unsqueeze(std::move(key), 1),
            unsqueeze(std::move(value), 1)};
  }
  std::array<Tensor, 3> of_heads(Tensor projected) const {
    return split_in_three(as_heads(std::move(projected), b.dims.heads, 3 * b.dims.head_dim), 3);
  }
};

struct GptBigCodeParts {
  using Projection = BiasedLinear;
  using Attention = SharedKeyAttention;
  static constexpr bool kBlocksGetPositions = false;
  static constexpr bool kMasksFirst = true;

  /// 4.48 counts the tokens of the attention mask, sequence by sequence.
  static Tensor positions(const Builder& b) {
    if (b.structure.transformers == Transformers::kV523 || !b.structure.padding_mask) return position_ids(b);
    const Shape tokens = {b.dims.batch, b.dims.seq};
    Tensor counted = b.tape.make(tokens, DType::kInt64, "cumsum");
    const Tensor positions = b.tape.make(tokens, DType::kInt64, "sub");
    counted.reset();
    const Tensor padding = b.tape.make(tokens, DType::kBool, "eq");
    return positions;
  }

  /// Made of ones, and once more where the weights are initialised: on the device the segment stays.
  static Tensor causal_buffer(const Builder& b) {
    const Shape shape = {b.dims.positions, b.dims.positions};
    const bool on_device = b.untied != nullptr;
    const auto make = [&](const char* op) { return on_device ? b.tape.make(shape, DType::kBool, op) : Tensor(); };
    Tensor ones = make("ones");
    const Tensor buffer = b.tape.buffer(shape, DType::kBool, "bias");
    ones.reset();
    ones = make("ones");
    const Tensor lower = make("tril");
    return buffer;
  }

  /// 4.48 shifts the logits in the model, in the dtype they have.
  static Tensor loss(const Builder& b, const Tensor& logits, const Batch& batch) {
    if (b.structure.transformers == Transformers::kV523) return causal_lm_loss(b, logits, batch);
    const Scope scope(b.tape, "loss");
    const Expr predicted = batch.labels.size(1) - 1;
    const Tensor shifted = contiguous(slice(logits, 1, predicted));
    const Tensor targets = contiguous(slice(batch.labels, 1, predicted));
    if (b.structure.kernels.loss == LossKernel::kFoak)
      return foak_loss(b, merge_dims(shifted, 0, 2), merge_dims(targets, 0, 2), false);
    return token_loss(shifted, targets);
  }
};

Description read(Fields& fields) {
  Description d = read_gpt2(fields, "gelu_pytorch_tanh");
  if (fields.flag("multi_query", true)) d.kv_heads = 1;
  fields.ignore({"attention_softmax_in_fp32", "scale_attention_softmax_in_fp32", "inference_runner", "max_batch_size",
                 "max_sequence_length", "pad_key_length", "pre_allocate_kv_cache", "validate_runner_input"});
  return d;
}

constexpr std::array kTasks = {Task::kCausalLm, Task::kSequenceClassification, Task::kTokenClassification,
                               Task::kFeatureExtraction};

}  // namespace

const Family kGptBigCode = {"gpt_bigcode",
                            "GPT-BigCode",
                            "transformers 5.23, models/gpt_bigcode",
                            Task::kCausalLm,
                            kTasks,
                            read,
                            build_gpt2<GptBigCodeParts>,
                            &kGpt2Sizes};

}  // namespace peakmem
