#include "request/stack_options.h"

#include <algorithm>
#include <array>
#include <string>

#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr std::array kOptions = std::to_array<std::string_view>({"tp",
                                                                 "pp",
                                                                 "vpp",
                                                                 "dp",
                                                                 "cp",
                                                                 "transformer-impl",
                                                                 "attention-backend",
                                                                 "overlap-grad-reduce",
                                                                 "gradient-accumulation-fusion",
                                                                 "cross-entropy-loss-fusion",
                                                                 "defer-embedding-wgrad-compute",
                                                                 "wgrad-deferral-limit",
                                                                 "no-create-attention-mask-in-dataloader",
                                                                 "untie-embeddings",
                                                                 "disable-bias-linear",
                                                                 "swiglu",
                                                                 "qk-layernorm",
                                                                 "hidden-dropout",
                                                                 "attention-dropout",
                                                                 "log-num-zeros-in-grad",
                                                                 "deterministic-mode",
                                                                 "ep",
                                                                 "etp",
                                                                 "moe-dispatcher",
                                                                 "moe-router-topk",
                                                                 "moe-router-load-balancing-type",
                                                                 "moe-router-dtype",
                                                                 "moe-ffn-hidden-size",
                                                                 "moe-shared-expert-intermediate-size",
                                                                 "moe-grouped-gemm",
                                                                 "sequence-parallel",
                                                                 "distributed-optimizer",
                                                                 "distributed-optimizer-instances",
                                                                 "recompute",
                                                                 "first-stage-layers",
                                                                 "last-stage-layers",
                                                                 "recompute-every",
                                                                 "pp-schedule",
                                                                 "pp-microbatch",
                                                                 "disable-loss-parallel"});
/// Options of all stacks that mean the same in each.
constexpr std::array kShared =
    std::to_array<std::string_view>({"stack", "batch", "seq", "precision", "clip-grad", "rank", "json", "layers",
                                     "heads", "hidden", "kv-heads", "head-dim", "ffn", "vocab", "family", "optimizer"});

constexpr int64_t kMostRanks = 1 << 20;
constexpr int64_t kMostLayers = 10'000;
constexpr int64_t kMostMicrobatches = 4096;

bool is_in(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// The divisors of a size that lie next to a degree: "1 and 4".
std::string divisors_near(int64_t size, int64_t degree) {
  int64_t below = 1;
  int64_t above = size;
  for (int64_t d = 1; d <= size; ++d) {
    if (size % d != 0) continue;
    if (d < degree) below = d;
    if (d > degree && d < above) above = d;
  }
  return std::to_string(below) + (above == below ? "" : " and " + std::to_string(above));
}

}  // namespace

std::string_view stack_option(const Options& asked) {
  for (const std::string_view name : kOptions)
    if (asked.has(name)) return name;
  return {};
}

std::optional<Error> check_known(const OptionValues& values, std::span<const std::string_view> own,
                                 std::string_view stack) {
  for (const OptionValue& value : values)
    if (!is_in(own, value.name) && !is_in(kShared, value.name))
      return Error{"--" + value.name, "is not modelled with --stack " + std::string(stack),
                   value.name == "checkpointing" ? "pass --recompute full"
                   : value.name == "vpp"         ? "pass --pp-schedule Interleaved1F1B"
                                                 : "drop it"};
  const Options asked(values);
  const std::string* optimizer = asked.text("optimizer");
  if (optimizer != nullptr && *optimizer != "adamw" && *optimizer != "adam")
    return Error{"--optimizer", *optimizer + " is not modelled with --stack " + std::string(stack), "adamw"};
  return std::nullopt;
}

std::optional<Error> check_division(const Divided& d) {
  if (d.degree <= d.size && d.size % d.degree == 0) return std::nullopt;
  return Error{d.option, std::to_string(d.degree) + " does not divide the " + grouped(d.size) + " " + d.what,
               "nearest that do: " + divisors_near(d.size, d.degree)};
}

std::optional<Error> check_ranks(std::span<const RanksAsked> asked) {
  int64_t all = 1;
  for (const RanksAsked& degree : asked) {
    if (degree.ranks > kMostRanks / all)
      return Error{std::string(degree.option), "makes more than " + grouped(kMostRanks) + " ranks", "fewer of them"};
    all *= degree.ranks;
  }
  return std::nullopt;
}

std::optional<Error> check_counts(int64_t layers, int64_t microbatches, std::string_view option) {
  if (layers > kMostLayers)
    return Error{"--layers", "is more than " + grouped(kMostLayers) + " layers", "fewer of them"};
  if (microbatches > kMostMicrobatches)
    return Error{std::string(option), "makes more than " + grouped(kMostMicrobatches) + " micro-batches",
                 "fewer of them"};
  return std::nullopt;
}

Result<std::optional<int64_t>> read_rank_number(const Options& asked, int64_t ranks) {
  const std::string* text = asked.text("rank");
  if (text == nullptr) return std::optional<int64_t>();
  const bool number = !text->empty() && text->size() < 10 && text->find_first_not_of("0123456789") == std::string::npos;
  const int64_t rank = *text == "first" ? 0 : *text == "last" ? ranks - 1 : number ? std::stoll(*text) : -1;
  if (rank < 0 || rank >= ranks)
    return Error{"--rank", *text + " is no rank of " + grouped(ranks), "first, last, or a number from 0 on"};
  return std::optional<int64_t>(rank);
}

}  // namespace peakmem
