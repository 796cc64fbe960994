// The modules models are built of, each with the memory behaviour of its counterpart in torch.nn or transformers 5.23.
//
// A module's constructor makes its parameters in the order PyTorch registers them; its call reads like the original's
// forward, with the same names alive for as long.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "model/description.h"
#include "trace/ops.h"

namespace peakmem {

/// What modules have until the model is tied, in the dtype that it is built in.
struct Untied {
  std::vector<Tensor> tensors;
  DType dtype;
};

/// What every module needs to be built: where parameters are recorded, their dtype, and the model's choices.
struct Builder {
  Tape& tape;
  const Description& description;
  const Dims& dims;
  const Structure& structure;
  std::vector<Tensor>* cache = nullptr;  // of keys and values; null: the model keeps none
  Untied* untied = nullptr;              // null: the model comes tied
  bool is_part = false;                  // of a model of text

  Tensor parameter(const Shape& shape, const char* name) const { return parameter(shape, structure.weights, name); }
  Tensor parameter(const Shape& shape, DType dtype, const char* name) const {
    return in_use(tape.parameter(shape, dtype, name, trains(name)), name);
  }
  /// A parameter of a norm, whose dtype may be another.
  Tensor norm_parameter(const Shape& shape, const char* name) const { return parameter(shape, structure.norms, name); }
  /// Whether a parameter of that name in the running scope wants a gradient.
  bool trains(const char* name) const;
  /// Whether the running scope is in a module that PEFT trains a copy of (ModulesToSaveWrapper).
  bool saves() const;
  /// What a module makes for itself before it is tied to another's (a constructor of transformers ties last of all):
  /// gone before the first step, but on a device that the model is built on the allocator keeps its segment.
  void make_untied(const Shape& shape, const char* name) const;
  /// The parameter that is worked with: itself, or the trained copy beside it, which stays where it is.
  Tensor in_use(const Tensor& parameter, const char* name) const;
};

/// A module whose parameters are recorded under its name.
template <class Module, class... Choices>
Module named(const Builder& b, const char* name, Choices... choices) {
  const Scope scope(b.tape, name);
  return Module(b, choices...);
}

/// A module of one input, whatever its type.
using ModuleCall = std::function<Tensor(const Tensor& input)>;
/// An embedding, and its weight, which a tied head shares.
struct EmbeddingCall {
  Tensor weight;
  ModuleCall call;
};

/// How a linear layer is computed: torch.nn.functional.linear, or Falcon's `input @ weight.T + bias`.
enum class LinearForm : uint8_t { kLinear, kMatmul };

/// torch.nn.Linear.
class Linear {
 public:
  Linear(const Builder& b, const char* name, Expr in, Expr out, bool bias, LinearForm form = LinearForm::kLinear);
  /// One whose rows are not a micro-batch's tokens: `dequantizes` says whether they are many.
  Linear(const Builder& b, const char* name, Expr in, Expr out, bool bias, bool dequantizes);
  /// A head whose parameters are another module's (the embedding's, as a rule).
  Linear(const char* name, Tensor weight, Tensor bias);
  /// The same, of which there may be a trained copy.
  Linear(const Builder& b, const char* name, const Tensor& weight, bool bias = false);
  Tensor operator()(Tensor input) const;
  const Tensor& weight() const { return weight_; }

 private:
  Linear(const Builder& b, const char* name, Expr in, Expr out, bool bias, bool dequantizes, LinearForm form);
  Tensor base(Tensor input) const;
  const char* name_;
  LinearForm form_ = LinearForm::kLinear;
  Tensor weight_;
  Tensor bias_;
  QuantizedWeight quantized_;
  Int8Weight int8_;
  LoraPair lora_;
};

/// transformers' Conv1D: a linear layer with its weight the other way round.
class Conv1D {
 public:
  Conv1D(const Builder& b, const char* name, Expr in, Expr out);
  Tensor operator()(Tensor input) const;

 private:
  const char* name_;
  Tensor weight_;
  Tensor bias_;
  LoraPair lora_;
};

/// torch.nn.Embedding. Its weight is one to some optimizers too.
class Embedding {
 public:
  Embedding(const Builder& b, const char* name, Expr rows, Expr width);
  /// One whose weight is another module's.
  Embedding(const char* name, Tensor weight);
  Tensor operator()(const Tensor& indices) const;
  /// What it looks into, a trained copy where there is one.
  const Tensor& in_use() const { return weight_; }
  /// What a head is tied to: the module's own, also where a copy is trained.
  const Tensor& weight() const { return own_; }

 private:
  const char* name_;
  Tensor own_;
  Tensor weight_;
};

/// What the input embedding gave: checkpointing makes it want a gradient (enable_input_require_grads), so that
/// reentrant checkpoints of frozen layers pass gradients on. That of an image alone only where there are adapters, and
/// so does transformers 4.48 with any.
Tensor inputs_embeds(const Builder& b, Tensor output);

/// torch.nn.LayerNorm.
class LayerNorm {
 public:
  LayerNorm(const Builder& b, const char* name, Expr width, bool has_bias = true);
  Tensor operator()(const Tensor& input) const;

 private:
  const char* name_;
  Tensor weight_;
  Tensor bias_;
};

/// Liger's RMSNorm in the place of a family's own.
Tensor fused_norm(const Builder& b, const Tensor& input, const Tensor& weight);
/// One that differs from its family's others in whether it writes over its gradient.
Tensor fused_norm(const Builder& b, const Tensor& input, const Tensor& weight, bool in_place);

/// LlamaRMSNorm: in fp32, by hand; or Liger's.
class RmsNorm {
 public:
  RmsNorm(const Builder& b, const char* name, Expr width);
  Tensor operator()(const Tensor& input) const;

 private:
  const Builder& b_;
  const char* name_;
  Tensor weight_;
};

/// Layers in a row, run by run. Of a run one turn is traced for all that have their like before and behind them: the
/// stack's first and last one have not. Nor have each run's, where shards of a layer are gathered while another one
/// computes, or where what is frozen ends with the run; nor the first of a run that is recomputed, which is the last to
/// hold what its kind is told.
template <class Layer>
class Layers {
 public:
  /// `turns`: how many turns each run has, as numbers or formulas; the runs themselves say how many are traced. `make`
  /// makes one layer and is told whether it is windowed. `last`: how many at the stack's end have not their like.
  template <class Make>
  Layers(const Builder& b, const std::vector<LayerRun>& runs, const std::vector<Expr>& turns, Make make,
         int64_t last = 1)
      : tape_(b.tape), repeat_(tape_.new_repeat()) {
    int64_t first = 0;
    for (size_t i = 0; i < runs.size(); ++i) {
      layers_.reserve(layers_.size() + static_cast<size_t>(b.structure.unrolled ? runs[i].layers : 4 * runs[i].period));
      tape_.layer = first;
      const bool apart = tape_.meta_parameters || b.structure.freeze != nullptr;
      const bool recomputed = b.structure.checkpointing != Checkpointing::kNone;
      const Ends ends = {apart || recomputed || i == 0 ? 1 : 0, i + 1 == runs.size() ? last : int64_t{apart}};
      add(runs[i], turns[i], ends, b.structure.unrolled, make);
      first += runs[i].layers;
    }
    tape_.enter_unit(0);
  }

  /// Run all in order, from the embedding's output to the last layer's.
  template <class Call>
  void run(Call call) const {
    run(call, [](const Layer&) {});
  }
  /// The same, and something behind each layer that is not its own.
  template <class Call, class After>
  void run(Call call, After after) const {
    for (size_t i = 0; i < layers_.size(); ++i) {
      {
        const Unit unit(tape_, units_[i]);
        call(layers_[i]);
      }
      after(layers_[i]);
    }
  }

  /// Run one alone, of a list whose members each stand for themselves.
  template <class Call>
  Tensor run_one(size_t i, Call call) const {
    const Unit unit(tape_, units_[i]);
    return call(layers_[i]);
  }

 private:
  /// How many turns of a run have not their like on both sides.
  struct Ends {
    int64_t first, last;
  };

  template <class Make>
  void add(const LayerRun& run, Expr turns, Ends apart, bool unrolled, Make& make) {
    const int64_t between = run.turns() - apart.first - apart.last;
    const bool folded = between > 0 && !unrolled;
    const auto add_each = [&](int64_t count) {
      for (int64_t i = 0; i < count; ++i) add_turn(run, 1, unrolled, make);
    };
    add_each(folded ? apart.first : run.turns());
    if (!folded) return;
    add_turn(run, turns - apart.first - apart.last, false, make);
    add_each(apart.last);
  }

  /// A turn that stands for so many; its layers `apart` are turns of their own.
  template <class Make>
  void add_turn(const LayerRun& run, Expr turns, bool apart, Make& make) {
    for (int64_t i = 0; i < run.period; ++i, ++tape_.layer) {
      if (i == 0 || apart) tape_.turn = tape_.new_turn(repeat_, turns);
      tape_.unit = units_.emplace_back(tape_.new_unit());
      layers_.push_back(make(run.is_windowed(i)));
    }
  }

  Tape& tape_;
  int32_t repeat_;  // one for all runs: what one run's last layer leaves, another one's first may release
  std::vector<Layer> layers_;
  std::vector<int32_t> units_;  // by layer
};

/// ACT2FN[name](input).
Tensor activate(Activation activation, const Tensor& input);

/// In which dtype eager attention takes its softmax.
enum class SoftmaxDtype : uint8_t {
  kAsItComes,     // BERT: what the scores have (fp32 under autocast)
  kCastToValues,  // GPT-2: the same, cast to the values' dtype afterwards
  kFullPrecision  // LLaMA: fp32, cast to the queries' dtype afterwards
};

/// What attention needs besides q, k, v.
struct AttentionInput {
  const Builder& model;
  Expr groups = 1;  // heads / kv heads
  Tensor mask;      // may be empty
  bool causal = true;
  SoftmaxDtype softmax = SoftmaxDtype::kFullPrecision;
  bool has_positions = false;  // flash attention looks at them for packed sequences
};

/// Attention's output [B, T, heads, D] and, in eager attention, the weights that the caller's frame still names.
struct AttentionOutput {
  Tensor output;
  Tensor weights;
};

/// transformers' attention interface: eager_attention_forward, sdpa_attention_forward or flash_attention_forward.
AttentionOutput attend(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionInput& input);

/// [B, T, heads·D] as [B, heads, T, D].
Tensor as_heads(Tensor input, Expr heads, Expr head_dim);
/// [B, T, heads, D] as [B, T, heads·D], contiguous.
Tensor from_heads(Tensor input);

}  // namespace peakmem
