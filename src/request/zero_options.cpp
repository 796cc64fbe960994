#include "request/zero_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "layout/zero_layout.h"
#include "model/kernels.h"
#include "recipe/optimizers.h"
#include "request/choices.h"
#include "size/bytes.h"
#include "size/wording.h"

namespace peakmem {
namespace {

constexpr int64_t kMostRanks = 1 << 16;
constexpr std::array<std::string_view, 8> kOptions = {
    "ranks",          "rank",           "reduce-bucket",     "overlap-comm",
    "zero-optimizer", "zero-gradients", "offload-optimizer", "round-robin"};
constexpr std::array<std::string_view, 6> kOfStage3 = {"offload-parameters",    "prefetch-bucket",
                                                       "persistence-threshold", "max-live-parameters",
                                                       "max-reuse-distance",    "sub-group"};

/// Optimizers whose step on a flat part was measured.
constexpr std::array<std::string_view, 8> kKnown = {
    "adamw", "adam", "sgd", "adamw-8bit", "paged-adamw-32bit", "paged-adamw-8bit", "lion-8bit", "hf-adafactor"};

/// Which of the ranks is counted.
std::optional<Error> read_rank(const Options& asked, Zero& zero) {
  const std::string* text = asked.text("rank");
  if (text == nullptr || *text == "first" || *text == "most") return std::nullopt;
  zero.rank = zero.ranks - 1;
  if (*text == "last") return std::nullopt;
  const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), zero.rank);
  const bool good = problem == std::errc() && end == text->data() + text->size();
  if (good && zero.rank >= 0 && zero.rank < zero.ranks) return std::nullopt;
  return Error{"--rank",
               "must be first, last, most or from 0 to " + std::to_string(zero.ranks - 1) + ", is " + in_quotes(*text),
               {}};
}

/// A size of elements, or what transformers fills in for "auto", if it does; ZeRO 3's may be 0.
std::optional<Error> read_elements(const Options& asked, std::string_view option, std::optional<int64_t> automatic,
                                   int64_t& size) {
  const std::string* text = asked.text(option);
  if (text == nullptr) return std::nullopt;
  if (automatic && *text == "auto") {
    size = *automatic;
    return std::nullopt;
  }
  if (*text == "0" && option != "reduce-bucket") {
    size = 0;
    return std::nullopt;
  }
  const Result<int64_t> elements = parse_size(*text, "--" + std::string(option));
  if (!elements) return elements.error();
  size = *elements;
  return std::nullopt;
}

std::optional<Error> read_bucket(const Options& asked, Request& request) {
  if (asked.text("reduce-bucket") == nullptr)
    request.assumptions.emplace_back("reduce-bucket: 500,000,000 elements, DeepSpeed's own (auto: hidden²)");
  const int64_t width = request.job.description.hidden;
  return read_elements(asked, "reduce-bucket", width * width, request.job.recipe.zero.reduce_bucket);
}

/// What is of ZeRO 3 alone. zero.Init loads before transformers fills in what is "auto", with DeepSpeed's own
/// threshold.
std::optional<Error> read_stage_3(const Options& asked, Request& request) {
  Zero& zero = request.job.recipe.zero;
  const int64_t width = request.job.description.hidden;
  if (auto wrong = read_elements(asked, "prefetch-bucket", width * width * 9 / 10, zero.prefetch_bucket)) return wrong;
  if (auto wrong = read_elements(asked, "persistence-threshold", 10 * width, zero.persistence_threshold)) return wrong;
  if (const std::string* text = asked.text("persistence-threshold"); text != nullptr && *text != "auto")
    zero.loaded_persistence = zero.persistence_threshold;
  for (const auto& [option, size] :
       {std::pair("max-live-parameters", &zero.max_live_parameters),
        std::pair("max-reuse-distance", &zero.max_reuse_distance), std::pair("sub-group", &zero.sub_group)})
    if (auto wrong = read_elements(asked, option, std::nullopt, *size)) return wrong;
  const std::string* host = asked.text("offload-parameters");
  zero.offloads_parameters = host != nullptr;
  zero.pins_parameters = host != nullptr && *host == "pinned";
  return std::nullopt;
}

/// What engine and trainer make of the weights: all of them bf16, and no autocast (accelerate 1.15).
void take_precision(Request& request) {
  Recipe& recipe = request.job.recipe;
  if (!recipe.autocast || *recipe.autocast != DType::kBFloat16) return;
  recipe.weights = DType::kBFloat16;
  recipe.autocast.reset();
  request.assumptions.emplace_back(
      "ZeRO: the engine makes all weights bf16, with fp32 copies of the rank's own, and runs no autocast");
}

/// Whether a rank's card holds gradients of whole parameters.
bool ranks_differ(const Zero& zero) {
  return zero.stage < 3 && !zero.full_gradients && !zero.offloads_optimizer && zero.ranks > 1;
}

/// What beside ZeRO 3 is not modelled: whatever asks for a parameter outside of the module that has it.
std::optional<Error> check_stage_3(const Job& job) {
  const Recipe& recipe = job.recipe;
  if (recipe.zero.round_robin) return Error{"--round-robin", "is of ZeRO 1 and 2", "drop one of them"};
  if (recipe.zero.full_gradients) return Error{"--zero-gradients", "in fp32 are not modelled under ZeRO 3", "drop it"};
  if (job.description.task != Task::kCausalLm || job.description.tower)
    return Error{"--zero", "3 is modelled for language models alone, not for other tasks", "pass --zero 2"};
  if (job.description.experts > 0) return Error{"--zero", "3 is not modelled for mixtures of experts", "pass --zero 2"};
  if (recipe.reference == Reference::kCopy)
    return Error{"--zero", "3 is not modelled beside a second model, which DeepSpeed gathers by an engine of its own",
                 "pass --zero 2, adapters, or --reference precomputed"};
  if (recipe.objective == Objective::kKto || recipe.objective == Objective::kGrpo)
    return Error{"--zero", "3 is not modelled with KTO and GRPO", "pass --zero 2"};
  if (recipe.trainer->name == "trl" && recipe.lora.rank > 0 && recipe.checkpointing == Checkpointing::kFull)
    return Error{"--checkpointing", "full is not what TRL runs beside adapters under ZeRO 3: it makes it reentrant",
                 "pass full-reentrant"};
  if (!recipe.lora.saved.empty())
    return Error{"--lora-modules-to-save", "is not modelled under ZeRO 3", "pass --zero 2"};
  if (recipe.zero.offloads_parameters && (recipe.lora.rank > 0 || !recipe.freeze.patterns.empty()))
    return Error{"--offload-parameters", "is not modelled where some are frozen", "drop one of them"};
  if (recipe.transformers != Transformers::kV523)
    return Error{"--transformers", "but 5.23 is not modelled under ZeRO 3", "drop it"};
  if (recipe.eval_batch > 0) return Error{"--eval-batch", "is not modelled under ZeRO 3", "drop it"};
  if (makes_no_logits(recipe.kernels.loss) && recipe.kernels.loss != LossKernel::kChunked)
    return Error{"--kernels", "whose loss takes the head's weight are not modelled under ZeRO 3", "pass --zero 2"};
  return std::nullopt;
}

}  // namespace

std::optional<Error> check_zero(const Job& job) {
  const Recipe& recipe = job.recipe;
  if (!runs(recipe.zero)) return std::nullopt;
  if (is_wrapped(recipe.sharding) || recipe.ddp.ranks > 1)
    return Error{"--zero", "contradicts --ddp, --fsdp and --hsdp", "drop one of them"};
  if (!recipe.trainer->is_transformers_loop)
    return Error{"--zero", "is not modelled in a plain loop", "pass --trainer hf"};
  if (recipe.quantize != Quantize::kNone) return Error{"--quantize", "is not modelled under ZeRO", "drop one of them"};
  if (recipe.weights != DType::kBFloat16 || recipe.autocast)
    return Error{"--precision", "must be bf16 under ZeRO: other dtypes of its engine are not modelled",
                 "pass --precision bf16 or bf16-mixed"};
  if (recipe.zero.stage == 3)
    if (auto wrong = check_stage_3(job)) return wrong;
  if (recipe.zero.full_gradients && recipe.zero.offloads_optimizer)
    return Error{"--zero-gradients", "in fp32 are not modelled where the optimizer is on the host", "drop one of them"};
  if (std::find(kKnown.begin(), kKnown.end(), recipe.optimizer->name) == kKnown.end())
    return Error{"--optimizer", std::string(recipe.optimizer->name) + " is not modelled under ZeRO",
                 "known for it: " + list_of(kKnown)};
  if (recipe.zero.offloads_optimizer && recipe.optimizer->name != "adamw" && recipe.optimizer->name != "adam")
    return Error{"--optimizer", std::string(recipe.optimizer->name) + " is not modelled on the host", "pass adamw"};
  if (recipe.eval_logits)
    return Error{"--eval-logits", "is not modelled under ZeRO, where each rank gathers the logits of all",
                 "drop one of them"};
  return std::nullopt;
}

std::optional<Error> read_zero(const Options& asked, Request& request) {
  Recipe& recipe = request.job.recipe;
  const std::string* stage = asked.text("zero");
  if (stage == nullptr) {
    for (const std::string_view option : kOptions)
      if (asked.has(option)) return Error{"--" + std::string(option), "is about DeepSpeed's ZeRO", "add --zero 2"};
    for (const std::string_view option : kOfStage3)
      if (asked.has(option)) return Error{"--" + std::string(option), "is about DeepSpeed's ZeRO 3", "add --zero 3"};
    return std::nullopt;
  }
  Zero& zero = recipe.zero;
  zero.stage = stage->front() - '0';
  const std::optional<int64_t> ranks = asked.size("ranks");
  if (!ranks) return Error{"--zero", "says not over how many ranks", "add --ranks 8"};
  if (*ranks > kMostRanks) return Error{"--ranks", "is more than " + std::to_string(kMostRanks), {}};
  if (asked.has("ddp") || asked.has("fsdp") || asked.has("hsdp"))  // were they of one rank
    return Error{"--zero", "contradicts --ddp, --fsdp and --hsdp", "drop one of them"};
  zero.ranks = *ranks;
  if (auto wrong = read_rank(asked, zero)) return wrong;
  if (auto wrong = read_bucket(asked, request)) return wrong;
  const std::string* overlap = asked.text("overlap-comm");
  zero.overlaps = overlap != nullptr ? value_in(kYesNo, *overlap) : zero.stage == 3;
  zero.round_robin = asked.flag("round-robin");
  zero.one_group = asked.flag("zero-optimizer");
  const std::string* gradients = asked.text("zero-gradients");
  zero.full_gradients = gradients != nullptr && value_in(kTrainingDTypes, *gradients) == DType::kFloat32;
  const std::string* host = asked.text("offload-optimizer");
  zero.offloads_optimizer = host != nullptr;
  zero.pins_optimizer = host != nullptr && *host == "pinned";
  if (zero.stage == 3)
    if (auto wrong = read_stage_3(asked, request)) return wrong;
  for (const std::string_view option : kOfStage3)
    if (zero.stage < 3 && asked.has(option)) return Error{"--" + std::string(option), "is of ZeRO 3", "pass --zero 3"};
  take_precision(request);
  // module.bfloat16() takes adapters along; under ZeRO 3 TRL makes them so (autocast_adapter_dtype=False)
  if (zero.stage < 3 || recipe.trainer->name == "trl") recipe.lora.full_precision = false;
  request.warnings.emplace_back("NCCL's own buffers are an estimate, which the verdict counts at its high end only");
  return std::nullopt;
}

void settle_rank(const Options& asked, Request& request) {
  Zero& zero = request.job.recipe.zero;
  if (!runs(zero)) return;
  std::string says = "ZeRO " + std::to_string(zero.stage) + ": bytes are those of rank ";
  if (!ranks_differ(zero)) {
    request.assumptions.push_back(says + std::to_string(zero.rank) + ", and ranks are alike but for padding");
    return;
  }
  const std::vector<int64_t> touched = touched_by_rank(zero_groups(request.job), zero.ranks);
  const auto most = std::max_element(touched.begin(), touched.end());
  if (const std::string* text = asked.text("rank"); text != nullptr && *text == "most")
    zero.rank = most - touched.begin();
  const auto of = [&](int64_t rank) { return in_binary_units(2 * touched[static_cast<size_t>(rank)]); };
  request.assumptions.push_back(
      says + std::to_string(zero.rank) + "; ranks differ by the gradients of parameters that " +
      "their parts touch: " + of(zero.rank) + " here, " + of(0) + " on the first, " + of(zero.ranks - 1) +
      " on the last, at most " + of(most - touched.begin()) + " (--rank most)");
}

}  // namespace peakmem
