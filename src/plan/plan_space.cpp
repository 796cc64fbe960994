#include "plan/plan_space.h"

#include <algorithm>
#include <array>

#include "request/choices.h"
#include "size/wording.h"

namespace peakmem {
namespace {

/// A way to spread a model over ranks. `{n}` is their number, `{mixed}` what mixed precision is under FSDP2.
struct LayoutRow {
  std::string_view flags;
  bool on_one_card = false;
};
constexpr std::array kLayouts = std::to_array<LayoutRow>({
    {"", true},
    {"--ddp {n}"},
    {"--ddp {n} --bucket-view"},
    {"--ddp {n} --bucket-view --no-sync"},
    {"--zero 1 --ranks {n} --trainer hf"},
    {"--zero 1 --ranks {n} --trainer hf --offload-optimizer pinned"},
    {"--zero 2 --ranks {n} --trainer hf"},
    {"--zero 2 --ranks {n} --trainer hf --offload-optimizer pinned"},
    {"--zero 3 --ranks {n} --trainer hf"},
    {"--zero 3 --ranks {n} --trainer hf --offload-optimizer pinned"},
    {"--fsdp {n}{mixed}"},
    {"--fsdp {n}{mixed} --no-reshard-after-forward"},
});
/// HSDP has one for every shape.
constexpr std::string_view kHybrid = "--hsdp {r}x{s}{mixed}";

/// An axis whose choices are the same for every question; `allowed`: what of --allow it needs, empty where it costs no
/// quality. It is held by an option of the question that one of `held_by` names.
struct AxisRow {
  std::string_view name;
  std::string_view allowed;
  std::array<std::string_view, 6> choices;
  std::array<std::string_view, 6> held_by;
};
constexpr std::array kAxes = std::to_array<AxisRow>({
    {"checkpointing",
     "",
     {"--checkpointing none", "--checkpointing full", "--checkpointing full-reentrant"},
     {"checkpointing"}},
    {"optimizer",
     "optimizer",
     {"--optimizer adamw", "--optimizer adamw-8bit", "--optimizer paged-adamw-32bit", "--optimizer paged-adamw-8bit",
      "--optimizer adafactor"},
     {"optimizer"}},
    {"implementation",
     "",
     {"--optimizer-impl fused", "--optimizer-impl foreach", "--optimizer-impl loop"},
     {"optimizer-impl"}},
    {"kernels", "", {"--kernels hf", "--kernels liger"}, {"kernels", "norm", "mlp", "rope", "loss"}},
    {"precision", "precision", {" ", "--precision bf16"}, {"precision", "autocast"}},
    {"adapters",
     "lora",
     {" ", "--lora-rank 16 --lora-targets all-linear",
      "--lora-rank 16 --lora-targets all-linear --quantize nf4 --double-quant"},
     {"lora-rank", "quantize"}},
});
constexpr std::array<std::string_view, 3> kAllowed = {"optimizer", "precision", "lora"};
constexpr std::array<std::string_view, 4> kLayoutOptions = {"ddp", "zero", "fsdp", "hsdp"};
constexpr std::array<std::string_view, 10> kOwn = {"gpus", "global-batch", "allow", "top", "why",
                                                   "emit", "json",         "csv",   "svg", "save"};

std::string replaced(std::string_view text, std::string_view mark, const std::string& by) {
  std::string result(text);
  for (size_t at = result.find(mark); at != std::string::npos; at = result.find(mark, at + by.size()))
    result.replace(at, mark.size(), by);
  return result;
}

/// What the precision of the question is, mixed ones by their low dtype.
const PrecisionName& precision_of(const OptionValues& values) {
  const Options asked(values);
  const std::string* name = asked.text("precision");
  for (const PrecisionName& row : kPrecisions)
    if (name != nullptr && row.name == *name) return row;
  return kPrecisions[0];
}

/// Of fully_shard in a plain loop: shards in fp32, computed with in half precision, reduced in fp32.
std::string mixed_of(const OptionValues& values) {
  const PrecisionName& precision = precision_of(values);
  const std::string* trainer = Options(values).text("trainer");
  if (!precision.autocast || (trainer != nullptr && *trainer != "loop")) return {};
  return " --precision fp32 --fsdp-param-dtype " + std::string(name_in(kTrainingDTypes, *precision.autocast)) +
         " --fsdp-reduce-dtype fp32";
}

PlanAxis layouts(const PlanQuestion& question) {
  const int64_t cards = question.card.count;
  const std::string mixed = mixed_of(question.options);
  PlanAxis axis = {"layout", {}};
  for (const LayoutRow& row : kLayouts)
    if (row.on_one_card == (cards == 1))
      axis.choices.push_back(replaced(replaced(row.flags, "{n}", std::to_string(cards)), "{mixed}", mixed));
  for (int64_t replicas = 2; replicas < cards; ++replicas) {
    if (cards % replicas != 0) continue;
    const std::string shape = replaced(kHybrid, "{r}", std::to_string(replicas));
    axis.choices.push_back(replaced(replaced(shape, "{s}", std::to_string(cards / replicas)), "{mixed}", mixed));
  }
  return axis;
}

std::vector<int64_t> divisors(int64_t number) {
  std::vector<int64_t> small, large;
  for (int64_t i = 1; i <= number / i; ++i) {
    if (number % i != 0) continue;
    small.push_back(i);
    if (i != number / i) large.push_back(number / i);
  }
  small.insert(small.end(), large.rbegin(), large.rend());
  return small;
}

/// The batch of a rank cut in micro-batches, those that the question asks for alone where it does.
Result<PlanAxis> micro_batches(const PlanQuestion& question) {
  const int64_t own = question.global_batch / question.card.count;
  const Options asked(question.options);
  PlanAxis axis = {"micro-batch", {}};
  for (const int64_t batch : divisors(own)) {
    const int64_t parts = own / batch;
    if (asked.size("batch").value_or(batch) != batch || asked.size("accumulate").value_or(parts) != parts) continue;
    axis.choices.push_back("--batch " + std::to_string(batch) +
                           (parts > 1 ? " --accumulate " + std::to_string(parts) : ""));
  }
  if (axis.choices.empty())
    return Error{"--global-batch",
                 "leaves " + std::to_string(own) + " sequences to a rank, which --batch and --accumulate do not make",
                 "drop one of them"};
  return axis;
}

/// The precision most people train in, where none is asked for.
void assume_precision(PlanQuestion& question) {
  if (Options(question.options).has("precision") || Options(question.options).has("autocast")) return;
  constexpr int kAmpere = 80;
  const int capability = question.card.gpu->compute_capability;
  const std::string precision = capability == 0 || capability >= kAmpere ? "bf16-mixed" : "fp16-mixed";
  question.options.push_back({"precision", precision});
  question.assumptions.push_back("precision: " + precision + ", as most train on this card (--precision)");
}

std::optional<Error> read_allowed(const Options& asked, PlanQuestion& question) {
  for (const std::string& name : asked.list("allow")) {
    const bool known = std::find(kAllowed.begin(), kAllowed.end(), name) != kAllowed.end();
    if (!known && name != "all")
      return Error{"--allow", in_quotes(name) + " is not known", "known: " + list_of(kAllowed) + ", all"};
    if (known) question.allowed.push_back(name);
    if (!known) question.allowed.assign(kAllowed.begin(), kAllowed.end());
  }
  return std::nullopt;
}

std::optional<Error> check_batch(const PlanQuestion& question) {
  const int64_t cards = question.card.count;
  if (question.global_batch % cards == 0) return std::nullopt;
  const int64_t below = question.global_batch / cards * cards;
  return Error{"--global-batch",
               std::to_string(question.global_batch) + " is no multiple of " + std::to_string(cards) + " ranks",
               (below > 0 ? std::to_string(below) + " or " : "") + std::to_string(below + cards) + " is"};
}

bool is_held(const AxisRow& row, const OptionValues& options) {
  return std::any_of(row.held_by.begin(), row.held_by.end(),
                     [&](std::string_view name) { return !name.empty() && Options(options).has(name); });
}

}  // namespace

int64_t PlanSpace::size() const {
  int64_t size = 1;
  for (const PlanAxis& axis : axes) size *= static_cast<int64_t>(axis.choices.size());
  return size;
}

Result<PlanQuestion> read_plan_question(const OptionValues& values) {
  const Options asked(values);
  PlanQuestion question;
  if (asked.has("gpu")) return Error{"--gpu", "is one card, and a plan is of a number of them", "pass --gpus 8xNAME"};
  const std::string* gpus = asked.text("gpus");
  if (gpus == nullptr) return Error{"--gpus", "is missing", "such as --gpus 8xh100-80gb"};
  Result<GpuChoice> card = parse_gpu(*gpus, "--gpus");
  if (!card) return card.error();
  question.card = std::move(*card);
  question.gpu = *gpus;
  const std::optional<int64_t> batch = asked.size("global-batch");
  if (!batch) return Error{"--global-batch", "is missing", "such as --global-batch 256"};
  question.global_batch = *batch;
  if (auto wrong = check_batch(question)) return *wrong;
  if (auto wrong = read_allowed(asked, question)) return *wrong;
  question.options = values;
  for (const std::string_view name : kOwn) drop_option(question.options, name);
  assume_precision(question);
  return question;
}

Result<PlanSpace> plan_space(const PlanQuestion& question) {
  PlanSpace space;
  const bool held = std::any_of(kLayoutOptions.begin(), kLayoutOptions.end(),
                                [&](std::string_view name) { return Options(question.options).has(name); });
  if (!held) space.axes.push_back(layouts(question));
  Result<PlanAxis> batches = micro_batches(question);
  if (!batches) return batches.error();
  space.axes.push_back(std::move(*batches));
  for (const AxisRow& row : kAxes) {
    const auto& allowed = question.allowed;
    const bool open = row.allowed.empty() || std::find(allowed.begin(), allowed.end(), row.allowed) != allowed.end();
    if (!open || is_held(row, question.options)) continue;
    PlanAxis axis = {std::string(row.name), {}};
    for (const std::string_view choice : row.choices)
      if (!choice.empty()) axis.choices.emplace_back(choice == " " ? "" : choice);
    space.axes.push_back(std::move(axis));
  }
  space.fixed = question.options;
  for (const std::string_view name : {"batch", "accumulate"}) drop_option(space.fixed, name);
  space.fixed.push_back({"gpu", question.gpu});
  return space;
}

std::vector<std::string> choices_at(const PlanSpace& space, int64_t id) {
  std::vector<std::string> choices(space.axes.size());
  for (size_t i = space.axes.size(); i-- > 0;) {
    const auto count = static_cast<int64_t>(space.axes[i].choices.size());
    choices[i] = space.axes[i].choices[static_cast<size_t>(id % count)];
    id /= count;
  }
  return choices;
}

OptionValues options_at(const PlanSpace& space, int64_t id) {
  OptionValues values = space.fixed;
  for (const std::string& choice : choices_at(space, id)) {
    Change change;
    change.flags = choice;
    if (!choice.empty()) values = changed_options(std::move(values), change);
  }
  return values;
}

std::vector<int64_t> neighbours(const PlanSpace& space, int64_t id) {
  std::vector<int64_t> ids;
  int64_t step = 1;
  for (size_t i = space.axes.size(); i-- > 0;) {
    const auto count = static_cast<int64_t>(space.axes[i].choices.size());
    const int64_t own = id / step % count;
    for (int64_t other = 0; other < count; ++other)
      if (other != own) ids.push_back(id + (other - own) * step);
    step *= count;
  }
  return ids;
}

}  // namespace peakmem
