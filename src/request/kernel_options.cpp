#include "request/kernel_options.h"

#include <algorithm>
#include <string>

#include "request/choices.h"
#include "size/wording.h"

namespace peakmem {
namespace {

bool is_half(DType dtype) { return dtype == DType::kBFloat16 || dtype == DType::kFloat16; }

/// Whether the trainer of an objective takes its loss from TRL's fused head: a classifier has none, and some take
/// whole logits.
bool takes_fused_head(Objective objective) { return objective != Objective::kReward && !takes_logits(objective); }

/// Families that `has` holds for, for a hint.
template <class Has>
std::string families_that(Has has) {
  std::string names;
  for (const Family* family : families())
    if (has(kernels_of(family->name))) add_to_list(names, family->name);
  return names;
}

/// Checks a choice of kernels for one model.
class Checker {
 public:
  explicit Checker(const Job& job) : job_(job), row_(kernels_of(job.description.family)) {}

  std::optional<Error> check() const {
    const Kernels& kernels = job_.recipe.kernels;
    if (auto wrong = check_trainer(kernels.loss)) return wrong;
    if (auto wrong = check_version(kernels)) return wrong;
    if (auto wrong = check_completion()) return wrong;
    if (kernels.norm == Kernel::kFused)
      if (auto wrong = check_liger("norm")) return wrong;
    if (kernels.rope == Kernel::kFused)
      if (auto wrong = check_liger("rope")) return wrong;
    if (kernels.mlp == Kernel::kFused)
      if (auto wrong = check_mlp()) return wrong;
    if (makes_no_logits(kernels.loss) || kernels.loss == LossKernel::kPlain)
      if (auto wrong = check_loss(kernels.loss)) return wrong;
    return job_.recipe.attention == Attention::kFlash2 ? check_flash() : std::nullopt;
  }

 private:
  static std::string option(std::string_view name) { return "--" + std::string(name); }

  std::optional<Error> check_trainer(LossKernel loss) const {
    const Trainer& trainer = *job_.recipe.trainer;
    if (!trainer.loss && trainer.is_transformers_loop && loss == LossKernel::kChunked)
      return Error{"--loss", "chunked is SFTTrainer's: " + std::string(trainer.title) + " passes no fused_lm_head",
                   "pass --trainer trl, or --loss hf"};
    if (!trainer.loss || loss == *trainer.loss) return std::nullopt;
    if (!takes_fused_head(job_.recipe.objective)) return std::nullopt;
    return Error{"--loss", std::string(trainer.title) + " computes the loss in its own way",
                 "pass --loss " + std::string(name_in(kLossKernels, *trainer.loss)) + ", or drop it"};
  }

  std::optional<Error> check_version(const Kernels& kernels) const {
    const bool foak = kernels.norm == Kernel::kFoak || kernels.loss == LossKernel::kFoak;
    if (job_.recipe.transformers == Transformers::kV523)
      return foak ? std::optional(Error{"--transformers", "5.23 is not modelled with kernels of the foak plug-in",
                                        "pass --transformers 4.48, or drop them"})
                  : std::nullopt;
    if (foak) return check_foak(kernels);
    if (kernels == Kernels()) return std::nullopt;
    return Error{"--transformers",
                 std::string(name_in(kTransformers, job_.recipe.transformers)) + " is not modelled with fused kernels",
                 "drop it, or them"};
  }

  std::optional<Error> check_completion() const {
    const Recipe& recipe = job_.recipe;
    if (recipe.completion == 0) return std::nullopt;
    if (recipe.completion > recipe.seq)
      return Error{"--completion", "is longer than the sequence of " + std::to_string(recipe.seq) + " tokens",
                   "pass --seq of prompt and completion together"};
    if (recipe.kernels.loss == LossKernel::kChunked || recipe.kernels.loss == LossKernel::kCut ||
        takes_logits(recipe.objective))
      return std::nullopt;
    return Error{"--completion", "changes nothing here: logits are made of every token, with a label or without",
                 "drop it, or pass --trainer trl"};
  }

  /// The plug-in has its rules by families; transformers' own version was checked before.
  std::optional<Error> check_foak(const Kernels& kernels) const {
    if (kernels.norm == Kernel::kFused || kernels.mlp == Kernel::kFused || kernels.rope == Kernel::kFused ||
        makes_no_logits(kernels.loss))
      return Error{"--kernels", "of Liger or TRL are not modelled beside those of the foak plug-in", "drop one kind"};
    if (kernels.norm == Kernel::kFoak && job_.description.family == "gpt_bigcode")
      return Error{option("norm"), "is an RMS norm, and gpt_bigcode has none", "pass --norm hf"};
    if (kernels.loss == LossKernel::kFoak && job_.description.vocab > kFoakVocabulary)
      return Error{option("loss"), "sums vocabularies past 65,536 in pieces, which is not modelled", "pass --loss hf"};
    return std::nullopt;
  }

  std::optional<Error> check_liger(std::string_view name) const {
    if (row_.liger) return std::nullopt;
    return Error{option(name), "Liger-Kernel is not modelled for " + job_.description.family,
                 "it is for " + families_that([](const FamilyKernels& row) { return row.liger; })};
  }

  std::optional<Error> check_mlp() const {
    if (auto wrong = check_liger("mlp")) return wrong;
    if (!row_.activation)
      return Error{option("mlp"),
                   "Liger's fused experts, which " + job_.description.family + " would get, are not modelled",
                   "pass --mlp hf"};
    if (*row_.activation == job_.description.activation) return std::nullopt;
    const bool silu = *row_.activation == Activation::kSilu;
    return Error{
        option("mlp"),
        std::string("Liger's MLP computes ") + (silu ? "silu" : "gelu") + ", and the config has another activation",
        "pass --mlp hf"};
  }

  std::optional<Error> check_loss(LossKernel loss) const {
    if (job_.description.task != Task::kCausalLm)
      return Error{option("loss"), "replaces the loss of a causal language model, and this is none", "pass --loss hf"};
    if (loss == LossKernel::kPlain) return check_plain();
    if (loss == LossKernel::kFusedLinear)
      if (auto wrong = check_fused_linear()) return wrong;
    if (loss == LossKernel::kCut)
      if (auto wrong = check_cut()) return wrong;
    if (loss != LossKernel::kFusedLinear && job_.recipe.seq == 1)
      return Error{"--seq",
                   "must be at least 2 for --loss " + std::string(name_in(kLossKernels, loss)) +
                       ": a sequence of one token has nothing to predict",
                   "pass --seq 2 or more, or --loss hf"};
    if (loss == LossKernel::kChunked && job_.description.head_bias)
      return Error{option("loss"),
                   "chunked is not modelled for a head with a bias, as " + job_.description.family + " has",
                   "pass --loss hf"};
    const std::vector<std::string>& targets = job_.recipe.lora.targets;
    if (std::any_of(targets.begin(), targets.end(), is_language_head))
      return Error{option("loss"), "reads the head's weight and would pass its adapter by",
                   "leave the head out of --lora-targets, or pass --loss hf"};
    return std::nullopt;
  }

  std::optional<Error> check_fused_linear() const {
    if (auto wrong = check_liger("loss")) return wrong;
    if (row_.fused_linear) return std::nullopt;
    return Error{option("loss"),
                 "fused-linear fails in Liger-Kernel for " + job_.description.family +
                     ", whose logits are scaled: \"LigerFusedLinearCrossEntropy is not available\"",
                 "pass --loss hf (beside --kernels liger too)"};
  }

  /// The dtype of the head's weight where it is multiplied.
  DType head_dtype() const {
    const Recipe& recipe = job_.recipe;
    if (recipe.quantize != Quantize::kNone) return frozen_dtype(recipe);
    return recipe.sharding.casts_parameters ? recipe.sharding.param_dtype : recipe.weights;
  }

  std::optional<Error> check_cut() const {
    if (!has_cut_loss(job_.description.family) || job_.description.head_bias)
      return Error{option("loss"), "cut is not modelled for " + job_.description.family,
                   "pass --loss hf, or --loss fused-linear or chunked where there is one"};
    if (is_half(head_dtype())) return std::nullopt;
    return Error{option("loss"), "cannot be cut: its kernels take a head in half precision only, and this one is fp32",
                 job_.recipe.quantize != Quantize::kNone ? "pass --upcast none, as axolotl has it beside this loss"
                                                         : "pass --precision bf16, beside --autocast bf16 if need be"};
  }

  std::optional<Error> check_plain() const {
    const Trainer& trainer = *job_.recipe.trainer;
    if (!trainer.is_transformers_loop || takes_logits(job_.recipe.objective)) return std::nullopt;
    return Error{option("loss"),
                 "cannot be plain: " + std::string(trainer.title) + " takes the loss that the model makes",
                 "drop it, or --trainer " + std::string(trainer.name)};
  }

  std::optional<Error> check_flash() const {
    const Description& d = job_.description;
    if (!row_.flash2)
      return Error{"--attention", d.family + " has no flash_attention_2 in transformers", "pass sdpa or eager"};
    if (!is_half(attention_dtype(job_.recipe)))
      return Error{"--attention", "cannot be flash2: flash-attn has kernels for half precision only",
                   "pass --precision bf16 or bf16-mixed, or --attention sdpa"};
    if (d.head_dim > 256)
      return Error{
          "--attention",
          "cannot be flash2: flash-attn has kernels for heads up to 256 wide, these are " + std::to_string(d.head_dim),
          "pass --attention sdpa"};
    if (d.caps_attention && d.attention_dropout > 0)
      return Error{"--attention", "cannot be flash2: flash-attn does not drop out of capped scores",
                   "set attention_dropout to 0"};
    return std::nullopt;
  }

  const Job& job_;
  const FamilyKernels& row_;
};

}  // namespace

std::optional<Error> check_kernels(const Job& job) { return Checker(job).check(); }

std::optional<Error> read_kernels(const Options& asked, Request& request) {
  Recipe& recipe = request.job.recipe;
  Kernels& kernels = recipe.kernels;
  const std::optional<LossKernel> of_trainer =
      takes_fused_head(recipe.objective) ? recipe.trainer->loss : std::optional<LossKernel>();
  kernels.loss = takes_logits(recipe.objective) ? LossKernel::kPlain : of_trainer.value_or(LossKernel::kHf);
  if (const std::string* preset = asked.text("kernels")) kernels = value_in(kKernelPresets, *preset);
  if (const std::string* norm = asked.text("norm")) kernels.norm = value_in(kNormKernels, *norm);
  if (const std::string* mlp = asked.text("mlp")) kernels.mlp = value_in(kKernels, *mlp);
  if (const std::string* rope = asked.text("rope")) kernels.rope = value_in(kKernels, *rope);
  if (const std::string* loss = asked.text("loss")) kernels.loss = value_in(kLossKernels, *loss);
  if (request.gpu != nullptr) recipe.processor = processor_of(*request.gpu);
  constexpr int kAmpere = 80;
  const int generation = request.gpu != nullptr ? request.gpu->compute_capability : 0;
  if (recipe.attention == Attention::kFlash2 && generation > 0 && generation < kAmpere)
    return Error{"--attention", "cannot be flash2: flash-attn needs an Ampere GPU or newer", "pass --attention sdpa"};
  if (request.gpu == nullptr) request.assumptions.emplace_back("what kernels take for themselves: as on an A100");
  if (kernels.loss == LossKernel::kPlain && !takes_logits(recipe.objective))
    request.assumptions.emplace_back("loss: cross_entropy in the loop, over all tokens; the loader shifts the labels");
  if (kernels.loss == LossKernel::kCut)
    request.assumptions.emplace_back("loss cut: as the source of axolotl's fork has it; held to no record");
  const bool skips_unlabelled = kernels.loss == LossKernel::kChunked || kernels.loss == LossKernel::kCut;
  if (skips_unlabelled && recipe.completion == 0)
    request.assumptions.emplace_back("tokens without a label: none (--completion says how many have one)");
  return std::nullopt;
}

}  // namespace peakmem
