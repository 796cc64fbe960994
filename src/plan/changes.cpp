#include "plan/changes.h"

#include <algorithm>
#include <array>

namespace peakmem {
namespace {

/// A change that is the same for every job.
struct ChangeRow {
  std::string_view group;
  std::string_view flags;
  Cost cost;
  int weight;
  std::string_view why;
};

constexpr Cost kNothing = Cost::kNothing;
constexpr Cost kTime = Cost::kTime;
constexpr Cost kQuality = Cost::kQuality;

constexpr std::array kRows = std::to_array<ChangeRow>({
    {"attention", "--attention sdpa", kNothing, 1, "scores are not kept; as fast or faster"},
    {"implementation", "--optimizer-impl fused", kNothing, 1, "the update makes no temporaries; faster"},
    {"outputs", "--keep-outputs no", kNothing, 1, "the loop lets the last step's logits go (del outputs)"},
    {"cache", "--use-cache no", kNothing, 1, "no keys and values are kept, which training does not read"},
    {"buckets", "--bucket-view", kNothing, 1, "gradients lie in DDP's buckets (gradient_as_bucket_view=True)"},
    {"kernels", "--kernels liger", kNothing, 2,
     "logits are made in chunks, norms and MLPs fused (needs the package liger-kernel); as fast or faster"},
    {"checkpointing", "--checkpointing full", kTime, 6,
     "every layer's forward pass runs twice: a step takes about a third longer"},
    {"pages", "--optimizer paged-adamw-32bit", kTime, 8,
     "states on the host where the device is full (needs bitsandbytes): slow where they are fetched in every step"},
    {"precision", "--precision bf16-mixed", kQuality, 5, "products in bf16 over fp32 weights: the usual way to train"},
    {"precision", "--precision bf16", kQuality, 20,
     "weights, gradients and states in bf16: small updates are rounded away"},
    {"optimizer", "--optimizer adamw-8bit", kQuality, 14, "states in 8 bits (needs bitsandbytes): little is lost"},
    {"optimizer", "--optimizer paged-adamw-8bit", kQuality, 16,
     "states in 8 bits, and on the host where the device is full (needs bitsandbytes)"},
    {"optimizer", "--optimizer adafactor", kQuality, 18, "one row and one column of second moments a matrix"},
    {"adapters", "--lora-rank 16 --lora-targets all-linear", kQuality, 30,
     "LoRA: adapters are trained beside frozen weights"},
    {"adapters", "--lora-rank 16 --lora-targets all-linear --quantize nf4 --double-quant", kQuality, 36,
     "QLoRA: adapters beside weights in 4 bits (needs bitsandbytes), which are unpacked in every pass: slower"},
    {"upcast", "--upcast none", kQuality, 4, "what is not quantized stays in half precision"},
});

/// Options that a change of another puts away.
constexpr std::array<std::array<std::string_view, 2>, 26> kPutAway = {{{"optimizer", "optimizer-impl"},
                                                                       {"optimizer", "rest-optimizer"},
                                                                       {"optimizer", "muon-matrices"},
                                                                       {"precision", "autocast"},
                                                                       {"kernels", "norm"},
                                                                       {"kernels", "mlp"},
                                                                       {"kernels", "rope"},
                                                                       {"kernels", "loss"},
                                                                       {"fsdp", "ddp"},
                                                                       {"fsdp", "hsdp"},
                                                                       {"fsdp", "bucket-mb"},
                                                                       {"fsdp", "bucket-view"},
                                                                       {"fsdp", "no-sync"},
                                                                       {"fsdp", "find-unused"},
                                                                       {"fsdp", "zero"},
                                                                       {"fsdp", "ranks"},
                                                                       {"fsdp", "offload-optimizer"},
                                                                       {"zero", "ddp"},
                                                                       {"zero", "fsdp"},
                                                                       {"zero", "hsdp"},
                                                                       {"zero", "bucket-mb"},
                                                                       {"zero", "bucket-view"},
                                                                       {"zero", "no-sync"},
                                                                       {"zero", "find-unused"},
                                                                       {"quantize", "lora-dtype"},
                                                                       {"lora-rank", "freeze"}}};

std::string text(int64_t number) { return std::to_string(number); }

/// The batch in 2, 4, … micro-batches.
void add_micro_batches(const Recipe& recipe, std::vector<Change>& changes) {
  int weight = 3;
  for (int64_t parts = 2; recipe.batch % parts == 0; parts *= 2, ++weight)
    changes.push_back(
        {"micro-batch", "--batch " + text(recipe.batch / parts) + " --accumulate " + text(recipe.accumulate * parts),
         kTime, weight, "the same batch in " + text(parts) + " micro-batches: smaller products, a little slower"});
  if (recipe.eval_batch > 1)
    changes.push_back({"evaluation", "--eval-batch " + text((recipe.eval_batch + 1) / 2), kTime, 2,
                       "half the sequences in an evaluation's batch: slower to evaluate"});
}

constexpr std::array<int64_t, 6> kRanks = {2, 4, 8, 16, 32, 64};
constexpr int64_t kMostZeroRanks = 16;

void add_fsdp(const Recipe& recipe, std::vector<Change>& changes) {
  int weight = 40;
  for (const int64_t ranks : kRanks)
    if (ranks > recipe.sharding.shards && !runs(recipe.zero))
      changes.push_back({"ranks", "--fsdp " + text(ranks), Cost::kCards, weight++,
                         "weights, gradients and states in " + text(ranks) +
                             " shards, a card each; each rank with its "
                             "own batch: slower by what the link between the cards takes",
                         "fsdp"});
}

/// DeepSpeed's ZeRO under transformers.Trainer in bf16, of the highest stage that is modelled for the job; and its
/// optimizer on the host.
void add_zero(const Job& job, std::vector<Change>& changes) {
  const Recipe& recipe = job.recipe;
  const bool halves = recipe.weights == DType::kBFloat16 || recipe.autocast == DType::kBFloat16;
  const std::string beside = (recipe.trainer->is_transformers_loop ? std::string() : " --trainer hf") +
                             (halves ? "" : " --precision bf16-mixed");
  const bool whole = job.description.task == Task::kCausalLm && job.description.experts == 0;
  const std::string stage = whole ? "3" : "2";
  const int64_t own = std::max(recipe.zero.ranks, recipe.sharding.shards);
  int weight = 42;
  for (const int64_t ranks : kRanks)
    if (ranks > own && ranks <= kMostZeroRanks)
      changes.push_back({"ranks", "--zero " + stage + " --ranks " + text(ranks) + beside,
                         halves ? Cost::kCards : kQuality, weight++,
                         "DeepSpeed's ZeRO " + stage + " over " + text(ranks) +
                             " cards, each rank with its own batch: slower by what the link between them takes",
                         "zero"});
  if (recipe.zero.offloads_optimizer || is_wrapped(recipe.sharding)) return;
  const std::string of_own = runs(recipe.zero) ? text(recipe.zero.stage) : "2";
  changes.push_back({"ranks", "--zero " + of_own + " --ranks " + text(own) + beside + " --offload-optimizer pinned",
                     halves ? kTime : kQuality, halves ? 10 : 15,
                     "the optimizer, its fp32 weights and gradients on the host (DeepSpeed's CPU Adam), for which the "
                     "update waits",
                     "offload"});
}

void add_lengths(const Recipe& recipe, const Description& d, std::vector<Change>& changes) {
  int weight = 44;
  for (int64_t parts = 2; parts <= 8; parts *= 2, weight += 8)
    if (!d.has_fixed_length() && recipe.seq % parts == 0 && recipe.seq / parts >= 128)
      changes.push_back({"context", "--seq " + text(recipe.seq / parts), kQuality, weight,
                         "a context of " + text(recipe.seq / parts) + " tokens in place of " + text(recipe.seq)});
}

constexpr std::array<std::string_view, 3> kSmaller = {"batch", "seq", "target-seq"};

/// A trace has no recipe to change, only smaller values of its letters.
std::vector<Change> smaller_letters(const Job& job) {
  std::vector<Change> changes;
  for (size_t i = 0; i < job.letters.size(); ++i) {
    const Letter& letter = job.recording->letters[i];
    const bool is_size = std::find(kSmaller.begin(), kSmaller.end(), letter.option) != kSmaller.end();
    int weight = 44;
    for (int64_t parts = 2; parts <= 8 && !letter.fixed && is_size; parts *= 2, weight += 8)
      if (job.letters[i] % parts == 0)
        changes.push_back(
            {letter.option, "--" + letter.option + " " + text(job.letters[i] / parts), Cost::kQuality, weight,
             text(job.letters[i] / parts) + " in place of " + text(job.letters[i]) + ", of the same trace"});
  }
  return changes;
}

/// Rows that would set what is already so.
bool is_set(const OptionValues& values, std::string_view flags) {
  const size_t space = flags.find(' ');
  const std::string_view name = flags.substr(2, space - 2);
  const std::string_view value = space == std::string_view::npos ? std::string_view() : flags.substr(space + 1);
  return std::any_of(values.begin(), values.end(), [&](const OptionValue& option) {
    return option.name == name && (option.text == value || value.empty());
  });
}

bool is_asked(const OptionValues& values, std::string_view name) {
  return std::any_of(values.begin(), values.end(), [&](const OptionValue& option) { return option.name == name; });
}

}  // namespace

std::string_view name_of(Cost cost) {
  constexpr std::array<std::string_view, 4> kNames = {"nothing", "time", "cards", "quality"};
  return kNames[static_cast<size_t>(cost)];
}

std::vector<Change> changes_for(const Request& request, const OptionValues& values) {
  if (request.job.recording) return smaller_letters(request.job);
  std::vector<Change> changes;
  for (const ChangeRow& row : kRows) {
    if (is_set(values, row.flags)) continue;
    if (row.group == "adapters" && is_asked(values, "quantize")) continue;
    changes.push_back({std::string(row.group), std::string(row.flags), row.cost, row.weight, std::string(row.why)});
    if (row.group == "adapters") changes.back().kind = row.flags;
  }
  const Recipe& recipe = request.job.recipe;
  add_micro_batches(recipe, changes);
  add_fsdp(recipe, changes);
  add_zero(request.job, changes);
  add_lengths(recipe, request.job.description, changes);
  return changes;
}

bool contradict(const Change& a, const Change& b) {
  if (a.group == b.group) return true;
  const std::string_view flags = a.flags;
  for (size_t begin = flags.find("--"); begin != std::string_view::npos; begin = flags.find("--", begin + 2)) {
    const std::string name(flags.substr(begin, flags.find(' ', begin) - begin));
    if ((b.flags + " ").find(name + " ") != std::string::npos) return true;
  }
  return false;
}

OptionValues changed_options(OptionValues values, const Change& change) {
  const std::string& flags = change.flags;
  for (size_t begin = 0, end = 0; begin < flags.size(); begin = end + 1) {
    end = std::min(flags.find(' ', begin), flags.size());
    const std::string word = flags.substr(begin, end - begin);
    if (!word.starts_with("--")) {
      values.back().text = word;
      continue;
    }
    const std::string name = word.substr(2);
    drop_option(values, name);
    for (const auto& [of, beside] : kPutAway)
      if (of == name) drop_option(values, beside);
    values.push_back({name, ""});
  }
  return values;
}

std::string command_line(const NamedConfig* model, const OptionValues& values) {
  if (model != nullptr && model->recording) return {};  // its file's name is not known here
  std::string line = "peakmem" + (model == nullptr ? "" : " " + model->name);
  for (const OptionValue& value : values) {
    if (value.text == "false") continue;
    line += " --" + value.name;
    if (value.text.empty() || value.text == "true") continue;
    const bool plain = value.text.find_first_of(" *\"'$\\{}()|&;<>?[]") == std::string::npos;
    line += plain ? " " + value.text : " '" + value.text + "'";
  }
  return line;
}

}  // namespace peakmem
