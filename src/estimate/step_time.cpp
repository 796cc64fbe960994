#include "estimate/step_time.h"

#include <algorithm>
#include <cmath>

#include "estimate/collectives.h"
#include "recipe/optimizers.h"
#include "train/step.h"

namespace peakmem {
namespace {

/// What PyTorch's dispatcher and autograd take on the host for an op: taken for granted, and in the high end only.
constexpr double kHostSeconds = 10e-6;
/// Shares of a card's rates. Products likely reach the best that was measured of one, of a card where none was an
/// H100's; at worst what whole trainings on A100s were known to reach, 180 of 312 TFLOP/s (stas00/ml-engineering,
/// compute/accelerator/README.md). Attention reaches 50 to 73 % on an A100 (FlashAttention-2, arXiv:2307.08691), and
/// the same kernels 35 % of an H100 (FlashAttention-3, arXiv:2407.08608). What memory reaches is taken for granted.
constexpr double kReached = 0.80;
struct Shares {
  double product = 1;
  double attention = 1;
  double memory = 1;
};
constexpr Shares kBest;
constexpr Shares kSlow = {180.0 / 312, 0.35, 0.75};
constexpr double kLikelyAttention = 0.6;
constexpr double kLikelyMemory = 0.9;

/// An update on the host: 10 billion parameters in 2.57 s, of all ranks of one host (ZeRO-Offload, arXiv:2101.06840,
/// table 4). Gradients and weights cross PCIe 4.0 x16, where a card's link to others is not its own.
constexpr double kHostUpdate = 2.57 / 10e9;
constexpr double kHostLink = 31.5e9;
/// The passes of an update in several kernels for one of a fused kernel: 20 for 7 in AdamW's (torch 2.13,
/// optim/adamw.py, _multi_tensor_adamw).
constexpr double kUnfused = 20.0 / 7.0;

/// Rates of a card as they count: at best, and as is likely.
struct Pace {
  const Rates& rates;
  Shares shares;

  double product(DType dtype) const {
    switch (dtype) {
      case DType::kBFloat16:
        return rates.bf16 > 0 ? rates.bf16 : rates.fp32;
      case DType::kFloat16:
      case DType::kInt32:  // of products of bytes
        return rates.fp16 > 0 ? rates.fp16 : rates.fp32;
      default:
        return rates.fp32;
    }
  }
  double seconds(const OpWork& op) const {
    const double share = op.what == OpClass::kAttention ? shares.attention : shares.product;
    return std::max(op.flops / (product(op.dtype) * share), seconds_of(op.bytes));
  }
  double seconds_of(double bytes) const { return bytes / (rates.memory * shares.memory); }
};

/// An update reads and writes weights and states, and reads gradients.
double update_bytes(const Program& program, const Recipe& recipe) {
  double states = 0;
  for (const Storage& storage : program.storages) {
    const auto turns = static_cast<double>(program.turns[static_cast<size_t>(storage.turn)].count.number());
    if (storage.category == Category::kOptimizer && !storage.on_host)
      states += turns * static_cast<double>(storage.bytes.number());
  }
  const int64_t parts = recipe.sharding.shards * recipe.zero.ranks;
  const double weights = static_cast<double>(program.trained_parameters.number()) *
                         static_cast<double>(size_of(trained_dtype(recipe))) / static_cast<double>(parts);
  return (3 * weights + 2 * states) * (recipe.impl == OptimizerImpl::kFused ? 1 : kUnfused);
}

constexpr std::array<const char*, kOpClasses> kClassNames = {"products", "attention", "between them, by memory"};

/// Seconds of all ops at a pace.
double computing(const std::vector<OpWork>& ops, const Pace& pace) {
  double seconds = 0;
  for (const OpWork& op : ops) seconds += op.times * pace.seconds(op);
  return seconds;
}

void add_parts(StepTime& time, const std::vector<OpWork>& ops, const Pace& pace) {
  std::array<TimePart, kOpClasses> parts;
  for (const OpWork& op : ops) {
    TimePart& part = parts[static_cast<size_t>(op.what)];
    part.flops += op.times * op.flops;
    part.bytes += op.times * op.bytes;
    part.seconds += op.times * pace.seconds(op);
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i].name = kClassNames[i];
    if (parts[i].bytes > 0) time.parts.push_back(parts[i]);
  }
}

void add_sums(StepTime& time, const std::vector<OpWork>& ops) {
  for (const OpWork& op : ops) {
    time.flops += op.times * op.flops;
    time.model_flops += op.times * op.model_flops;
    time.bytes += op.times * op.bytes;
    time.ops += op.times;
  }
}

/// The tokens of a rank's step.
double tokens_of(const Recipe& recipe) {
  return static_cast<double>(recipe.batch) * static_cast<double>(recipe.choices) *
         static_cast<double>(recipe.seq + recipe.target_seq) * static_cast<double>(recipe.accumulate);
}

/// What an update does: on the card by memory, or on the host.
struct UpdateWork {
  double bytes = 0;
  double host_bytes = 0;    // to the host and back
  double host_seconds = 0;  // there
  double seconds(const Pace& pace) const { return pace.seconds_of(bytes) + host_bytes / kHostLink + host_seconds; }
};

UpdateWork update_of(const Program& program, const Recipe& recipe) {
  if (!recipe.zero.offloads_optimizer) return {update_bytes(program, recipe)};
  const auto trained = static_cast<double>(program.trained_parameters.number());
  const double crossing =
      trained / static_cast<double>(recipe.zero.ranks) * 2 * static_cast<double>(size_of(trained_dtype(recipe)));
  return {0, crossing, trained * kHostUpdate};
}

void add_seconds(StepTime& time, const std::vector<OpWork>& ops, const Rates& rates, const UpdateWork& update,
                 const Sent& sent) {
  const Pace best = {rates, kBest};
  const Pace likely = {rates, {rates.reached > 0 ? rates.reached : kReached, kLikelyAttention, kLikelyMemory}};
  const Pace slow = {rates, kSlow};
  const auto busy = [&](const Pace& pace) { return computing(ops, pace) + update.seconds(pace); };
  const double send = rates.link > 0 ? sent.bytes / rates.link : 0;
  time.seconds.low = std::max(busy(best), send);
  time.seconds.likely = sent.overlaps ? std::max(busy(likely), send) : busy(likely) + send;
  time.seconds.high = std::max(busy(slow), time.ops * kHostSeconds) + send;
  add_parts(time, ops, likely);
  time.parts.push_back({"the update", 0, update.bytes + update.host_bytes, update.seconds(likely)});
  if (sent.bytes > 0) time.parts.push_back({"to other ranks", 0, sent.bytes, send});
}

/// What is a quotient of the seconds: the longest gives the least.
About over(double amount, const About& seconds) {
  return {amount / seconds.high, amount / seconds.likely, amount / seconds.low};
}

void add_reasons(StepTime& time, const Recipe& recipe, const Gpu& gpu, const Sent& sent) {
  const bool measured = gpu.rates.reached > 0;
  const int64_t share = std::llround((measured ? gpu.rates.reached : kReached) * 100);
  time.reasons.push_back("low: every op at the rates that its maker states, and nothing waits");
  time.reasons.push_back("likely: products at " + std::to_string(share) + " % of that, " +
                         (measured ? "the best that was measured of one on this card" : "as of an H100's best") +
                         ", attention at 60 % (FlashAttention-2), memory at 90 %" +
                         (sent.bytes == 0 ? ""
                          : sent.overlaps ? "; what is sent goes on beside the computing"
                                          : "; what is sent waits for the computing"));
  time.reasons.push_back(std::string("high: products at 58 %, as whole trainings on A100s were known to reach, "
                                     "attention at 35 % (FlashAttention-2 on an H100), memory at 75 %; ") +
                         (sent.bytes > 0 ? "nothing goes on beside what is sent; " : "") +
                         "the host needs 10 µs for each of " + std::to_string(static_cast<int64_t>(time.ops)) +
                         " ops, which is taken for granted");
  if (time.ranks > 1)
    time.reasons.push_back("all ranks are joined by " + std::string(gpu.rates.link_name) +
                           ", as cards of one machine are");
  if (recipe.zero.offloads_optimizer)
    time.reasons.push_back(
        "the update is the host's: 10 billion parameters in 2.57 s, of all ranks together (ZeRO-Offload, table 4), and "
        "PCIe 4.0 x16 to it");
  if (recipe.optimizer->pages) time.reasons.push_back("pages that go to the host and back are not counted");
}

StepTime timed(const Job& job, const Program& program, const std::vector<OpWork>& ops, const Gpu& gpu) {
  const Recipe& recipe = job.recipe;
  StepTime time;
  add_sums(time, ops);
  const UpdateWork update = update_of(program, recipe);
  time.bytes += update.bytes;
  const Sent sent = sent_in_step(job, program);
  time.sent_bytes = sent.bytes;
  time.tokens = tokens_of(recipe);
  time.ranks = ranks_of(recipe);
  time.dtype = attention_dtype(recipe);
  time.rate = Pace{gpu.rates, kBest}.product(time.dtype);
  add_seconds(time, ops, gpu.rates, update, sent);
  time.tokens_per_second = over(time.tokens * static_cast<double>(time.ranks), time.seconds);
  time.mfu = over(time.model_flops / time.rate, time.seconds);
  return time;
}

}  // namespace

std::optional<Error> check_rates(const Gpu& gpu, std::string_view field) {
  if (gpu.rates.memory > 0) return std::nullopt;
  std::string known;
  for (const Gpu& card : gpus())
    if (card.rates.memory > 0) known += (known.empty() ? "" : ", ") + std::string(card.name);
  return Error{std::string(field), std::string(gpu.name) + " has no rates here, by which time is estimated",
               "known are those of " + known};
}

StepTime step_time(const Job& job, const Program& program, const Gpu& gpu) {
  return timed(job, program, steady_work(program, {}, job.recipe.accumulate), gpu);
}

Result<StepTime> step_time(const Job& job, const Gpu& gpu) {
  if (job.recording)
    return Error{"MODEL", "is a trace, whose ops are known by what they allocate and not by what they compute",
                 "name the model for an estimate of its time"};
  if (auto wrong = check_rates(gpu)) return *wrong;
  const Program program = trace_step(job, number_dims(job));
  const std::vector<OpWork> ops = steady_work(program, {}, job.recipe.accumulate);
  StepTime time = timed(job, program, ops, gpu);
  time.modules = module_work(program, ops);
  add_reasons(time, job.recipe, gpu, sent_in_step(job, program));
  return time;
}

}  // namespace peakmem
