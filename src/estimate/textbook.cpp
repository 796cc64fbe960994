#include "estimate/textbook.h"
#include "size/terms.h"

#include <optional>

#include "estimate/moment.h"

namespace peakmem {
namespace {

constexpr double kMb = 1e6;

// https://stats.stackexchange.com/questions/563919, the answer of 2022, which others copied.
constexpr const char* kSpread = "stats.stackexchange.com/q/563919, the derivation that spread";
// https://www.trentonbricken.com/TransformerMemoryRequirements/ (July 2022), checked there against GPT-2.
constexpr const char* kBricken = "trentonbricken.com/TransformerMemoryRequirements, 2022";
constexpr const char* kKorthikanti = "Korthikanti et al. 2022, arXiv 2205.05198";

/// What the trace gives, in bytes of the steady step.
struct Traced {
  double weights = 0;
  double states = 0;          // weights, gradients, optimizer state
  double kept_by_layers = 0;  // for the backward pass
  double kept = 0;
  double peak = 0;
  double parameters = 0;  // elements
};

double kept_bytes(const Program& program, bool only_layers) {
  const Expr kept = live_bytes(program, before_phase(program, 2, "backward"), [&](const Storage& storage) {
    return storage.category == Category::kActivations && (!only_layers || in_layers(program, storage));
  });
  return real_value(kept, {});
}

std::optional<Traced> trace_of(const Job& job) {
  const Program program = trace_step(job, number_dims(job));
  const Result<Timeline> timeline = evaluate(program, {});
  if (!timeline) return std::nullopt;
  const Moment update = before_phase(program, 2, "optimizer");
  const auto is_weight = [](const Storage& storage) { return storage.category == Category::kWeights; };
  Traced traced;
  traced.weights = real_value(live_bytes(program, update, is_weight), {});
  traced.states = real_value(live_bytes(program, update, is_state), {});
  traced.kept_by_layers = kept_bytes(program, true);
  traced.kept = kept_bytes(program, false);
  traced.peak = static_cast<double>(highest(program, *timeline, 2, &PhaseLevels::tensors).bytes);
  traced.parameters = real_value(program.parameters, {});
  return traced;
}

/// The sizes as the formulas name them, in real numbers.
struct Named {
  double l, b, t, c, n, d, v, p;
  double element;    // bytes of one activation
  double parameter;  // bytes of one weight

  explicit Named(const Job& job)
      : l(static_cast<double>(job.description.layers)),
        b(static_cast<double>(job.recipe.batch)),
        t(static_cast<double>(job.recipe.seq)),
        c(static_cast<double>(job.description.hidden)),
        n(static_cast<double>(job.description.heads)),
        d(static_cast<double>(job.description.head_dim)),
        v(static_cast<double>(job.description.vocab)),
        p(job.description.learned_positions ? static_cast<double>(job.description.positions) : 0),
        element(static_cast<double>(size_of(product_dtype(job.recipe)))),
        parameter(static_cast<double>(size_of(job.recipe.weights))) {}
};

/// The formulas one after the other, each with what it is to be compared with.
class Rows {
 public:
  Rows(const Job& job, const Traced& traced) : job_(job), is_(job), traced_(traced) {}

  std::vector<Textbook> rows() && {
    spread_model();
    spread_activations();
    spread_ratio();
    wider_model();
    wider_activations();
    bricken();
    bytes_per_parameter();
    korthikanti_layers();
    korthikanti_selective();
    korthikanti_full();
    korthikanti_model();
    return std::move(rows_);
  }

 private:
  void add(Textbook row) { rows_.push_back(std::move(row)); }

  double spread_model_elements() const { return 4 * is_.l * is_.c * is_.c; }

  void spread_model() {
    add({.name = "one C×C MLP: the model",
         .formula = "M_model = 4LC², C = ND",
         .latex = R"(M_\mathrm{model} = 4LC^2,\quad C = ND)",
         .source = kSpread,
         .assumptions =
             "q, k and v and the MLP are one C×C matrix each; no attention output, no biases, norms or embeddings",
         .bytes = spread_model_elements() * is_.parameter,
         .reference = traced_.weights,
         .reference_of = "weights",
         .printed = spread_model_elements(),
         .unit = "elements"});
  }

  void spread_activations() {
    const double elements = is_.b * is_.n * is_.l * is_.t * (is_.t + 2 * is_.d);
    add({.name = "one C×C MLP: the activations",
         .formula = "M_act = BNLT(T + 2D)",
         .latex = R"(M_\mathrm{act} = BNLT(T + 2D))",
         .source = kSpread,
         .assumptions = "per layer the T×T scores of every head and two results of width C, each once; no dropout, no "
                        "norms, no head and loss",
         .bytes = elements * is_.element,
         .reference = traced_.kept,
         .reference_of = kKept,
         .printed = elements,
         .unit = "elements"});
  }

  // The conclusion drops M_model, by which the ratio is to be multiplied: read as MB it gives some hundred for T =
  // 10,000.
  void spread_ratio() {
    const double scale = 4 * is_.n * is_.d * is_.d;
    const double ratio = is_.b * is_.t * (is_.t + 2 * is_.d) / scale;
    const double scores = is_.b * is_.t * is_.t / scale;
    add({.name = "one C×C MLP: the ratio, times the model",
         .formula = "M_act = M_model · BT(T + 2D)/(4ND²)",
         .latex = R"(M_\mathrm{act} = M_\mathrm{model}\,\frac{BT(T + 2D)}{4ND^2})",
         .source = kSpread,
         .assumptions =
             "the ratio is of elements and has no unit; it says how many times the model the activations are",
         .bytes = ratio * spread_model_elements() * is_.element,
         .reference = traced_.kept,
         .reference_of = kKept,
         .printed = ratio,
         .unit = "times M_model"});
    add({.name = "one C×C MLP: the conclusion as printed, read as MB",
         .formula = "M ≈ BT²/(4ND²)",
         .latex = R"(M \approx \frac{BT^2}{4ND^2})",
         .source = kSpread,
         .assumptions = "M_model, by which the ratio must be multiplied, was left out, and with it the layers; at T = "
                        "10,000 some hundred "
                        "\"MB\" come out, which is how readers noticed",
         .bytes = scores * kMb,
         .reference = traced_.peak,
         .reference_of = kPeak,
         .printed = scores,
         .unit = "times M_model, read as MB"});
  }

  double wider_model_elements() const {
    const double head = job_.description.tied ? 0 : is_.v * is_.c;
    return 12 * is_.l * is_.c * is_.c + 13 * is_.l * is_.c + is_.v * is_.c + is_.p * is_.c + 2 * is_.c + head;
  }

  void wider_model() {
    const bool tied = job_.description.tied;
    add({.name = "MLP of width 4C, biases, norms, embeddings: the model",
         .formula = tied ? "12LC² + 13LC + VC + PC + 2C" : "12LC² + 13LC + 2VC + PC + 2C",
         .latex = tied ? "12LC^2 + 13LC + VC + PC + 2C" : "12LC^2 + 13LC + 2VC + PC + 2C",
         .source = "the count of GPT-2's parameters",
         .assumptions = "a GPT: q, k, v, output and a two-matrix MLP of width 4C with biases, two norms a layer and "
                        "one at the end; "
                        "P positions in a learned table, 0 if rotary",
         .bytes = wider_model_elements() * is_.parameter,
         .reference = traced_.weights,
         .reference_of = "weights",
         .printed = wider_model_elements(),
         .unit = "elements"});
  }

  void wider_activations() {
    const double elements =
        is_.b * is_.n * is_.l * is_.t * (is_.t + 8 * is_.d) + 2 * is_.b * is_.t * is_.c + is_.b * is_.t * is_.v;
    add({.name = "MLP of width 4C, norms, embeddings: the activations",
         .formula = "BNLT(T + 8D) + 2BTC + BTV",
         .latex = "BNLT(T + 8D) + 2BTC + BTV",
         .source = "the derivation above, counted as it counts",
         .assumptions = "of width C: the attention's result, the MLP's and two norms'; of width 4C: the MLP's middle; "
                        "embedding, last norm "
                        "and logits once; q, k, v, the activation function's result, the loss and dropout not counted",
         .bytes = elements * is_.element,
         .reference = traced_.kept,
         .reference_of = kKept,
         .printed = elements,
         .unit = "elements"});
  }

  void bricken() {
    const double model = is_.v * is_.c + is_.l * (12 * is_.c * is_.c + 4 * is_.c);
    const double activations = is_.b * is_.t * (2 * is_.v + is_.l * (14 * is_.c + is_.n * is_.t));
    add({.name = "four times the model and twice the activations",
         .formula = "4(VC + L(12C² + 4C)) + 2BT(2V + L(14C + NT))",
         .latex = "4(VC + L(12C^2 + 4C)) + 2BT(2V + L(14C + NT))",
         .source = kBricken,
         .assumptions = "GPT-2 in fp32 with eager attention and Adam; activations once more in the backward pass, all "
                        "at the same time; "
                        "its own check was against the memory nvidia-smi shows",
         .bytes = 4 * (4 * model + 2 * activations),
         .reference = traced_.peak,
         .reference_of = kPeak,
         .printed = 4 * model + 2 * activations,
         .unit = "elements of 4 bytes"});
  }

  void bytes_per_parameter() {
    const struct {
      double bytes;
      const char* formula;
      const char* source;
      const char* assumptions;
    } kinds[] = {
        {16, "16 bytes per parameter", "ZeRO, Rajbhandari et al. 2020, arXiv 1910.02054, section 3.1",
         "2 weights and 2 gradients in half precision, 4 + 4 + 4 fp32 master weights, momentum, variance; or fp32: 4 + "
         "4 + 8"},
        {18, "18 bytes per parameter",
         "transformers' docs, \"GPU memory usage\"; Megatron-LM, theoretical_memory_usage.py",
         "6 weights in half precision and fp32, 4 gradients in fp32, 8 Adam"},
        {20, "20 bytes per parameter", "Smith et al. 2022 (MT-NLG 530B), arXiv 2201.11990, section 2.2",
         "2 + 4 weights and 2 + 4 gradients in half precision and fp32, 8 Adam"},
    };
    for (const auto& kind : kinds)
      add({.name = kind.formula,
           .formula = std::to_string(static_cast<int>(kind.bytes)) + "·parameters",
           .latex = std::to_string(static_cast<int>(kind.bytes)) + "P",
           .source = kind.source,
           .assumptions = std::string(kind.assumptions) + "; no activations",
           .bytes = kind.bytes * traced_.parameters,
           .reference = traced_.states,
           .reference_of =
               "weights, gradients and optimizer state, the parameters being " + counted(traced_.parameters),
           .printed = kind.bytes * traced_.parameters,
           .unit = "bytes"});
  }

  static std::string counted(double count) { return std::to_string(static_cast<int64_t>(count)); }

  double sbh() const { return is_.t * is_.b * is_.c; }

  void korthikanti_row(const char* name, const char* formula, const char* latex, const char* assumptions, double bytes,
                       double reference, const std::string& of) {
    add({.name = name,
         .formula = formula,
         .latex = latex,
         .source = kKorthikanti,
         .assumptions = assumptions,
         .bytes = bytes,
         .reference = reference,
         .reference_of = of,
         .printed = bytes,
         .unit = "bytes"});
  }

  /// The layers' activations of the same job with attention and checkpointing as a variant of the paper has them.
  double kept_by_layers_with(Attention attention, Checkpointing checkpointing) const {
    Job changed = job_;
    changed.recipe.attention = attention;
    changed.recipe.checkpointing = checkpointing;
    const std::optional<Traced> traced = trace_of(changed);
    return traced ? traced->kept_by_layers : 0;
  }

  void korthikanti_layers() {
    const double bytes = is_.l * (34 * sbh() + 5 * is_.n * is_.t * is_.t * is_.b);
    korthikanti_row(
        "activations by layer, nothing recomputed", "L·sbh(34 + 5as/h)", R"(L\,sbh\left(34 + 5\frac{as}{h}\right))",
        "half precision, dropout, eager attention, fused GELU, MLP of width 4h; s = T, b = B, h = C, a = N", bytes,
        kept_by_layers_with(job_.recipe.attention, Checkpointing::kNone), "kept by the layers, without checkpointing");
  }

  void korthikanti_selective() {
    korthikanti_row("activations by layer, attention recomputed", "L·34sbh", R"(L\,34\,sbh)",
                    "the same, scores, softmax and dropout of the attention computed again in the backward pass",
                    34 * is_.l * sbh(), kept_by_layers_with(Attention::kSdpa, Checkpointing::kNone),
                    "kept by the layers with --attention sdpa, whose fused kernels recompute the scores too");
  }

  void korthikanti_full() {
    korthikanti_row("activations by layer, all recomputed", "L·2sbh", R"(L\,2\,sbh)",
                    "half precision; only every layer's input is kept", 2 * is_.l * sbh(),
                    kept_by_layers_with(job_.recipe.attention, Checkpointing::kFull),
                    "kept by the layers with --checkpointing full");
  }

  // Section 4.3: dropout of the embedding sbh; last norm 2sbh, head's input 2sbh, fp32 logits 4sbv: 4sbh(1 + v/h).
  void korthikanti_model() {
    const double layers = is_.l * (34 * sbh() + 5 * is_.n * is_.t * is_.t * is_.b);
    korthikanti_row("activations of the whole model", "L·sbh(34 + 5as/h) + sbh + 4sbh(1 + v/h)",
                    R"(L\,sbh\left(34 + 5\frac{as}{h}\right) + sbh + 4sbh\left(1 + \frac{v}{h}\right))",
                    "the same with the embedding's dropout, the last norm, the head's input and fp32 logits (section "
                    "4.3), no parallelism",
                    layers + sbh() + 4 * sbh() * (1 + is_.v / is_.c), traced_.kept, kKept);
  }

  static constexpr const char* kKept = "activations kept at the end of the forward pass";
  static constexpr const char* kPeak = "peak of the steady step, in tensor bytes";

  const Job& job_;
  Named is_;
  const Traced& traced_;
  std::vector<Textbook> rows_;
};

}  // namespace

std::vector<Textbook> textbook(const Job& job) {
  const std::optional<Traced> traced = trace_of(job);
  if (!traced) return {};
  return Rows(job, *traced).rows();
}

}  // namespace peakmem
