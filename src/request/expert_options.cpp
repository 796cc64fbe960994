#include "request/expert_options.h"

#include <cmath>
#include <cstdlib>

#include "estimate/imbalance.h"
#include "request/mixture_options.h"
#include "size/wording.h"

namespace peakmem {
namespace {

constexpr std::string_view kGroupedIsEven = "the grouped GEMM's memory does not depend on how tokens are spread";

Error liger_runs_them() {
  return {"--experts", "says how, but Liger's fused experts run in their place", "pass --mlp hf"};
}

}  // namespace

bool routes_tokens(const Description& d) { return d.experts > 0 && d.family != "llama4_text"; }

std::optional<Error> check_experts(const Job& job) {
  const Description& d = job.description;
  const Recipe& recipe = job.recipe;
  if (!routes_tokens(d)) return std::nullopt;
  if (recipe.kernels.mlp == Kernel::kFused)
    return recipe.experts == Experts::kLoop ? std::optional(liger_runs_them()) : std::nullopt;
  constexpr int64_t kMostExperts = 10'000;  // of the loop, whose turns are traced one by one
  if (recipe.experts == Experts::kLoop && d.experts > kMostExperts)
    return Error{"--experts", "cannot be a loop over " + std::to_string(d.experts) + " experts: too many to trace",
                 "pass --experts grouped"};
  return recipe.experts == Experts::kGrouped ? check_grouped(job) : std::nullopt;
}

std::optional<Error> read_imbalance(const Options& asked, Request& request) {
  const std::string* text = asked.text("moe-imbalance");
  if (text == nullptr) return std::nullopt;
  Recipe& recipe = request.job.recipe;
  const bool plain = !text->empty() && text->size() < 8 && text->find_first_not_of("0123456789.") == std::string::npos;
  char* end = nullptr;
  const double times = std::strtod(text->c_str(), &end);
  if (!plain || *end != 0 || times < 1)
    return Error{"--moe-imbalance", "must be a number from 1 on, is " + in_quotes(*text), "such as 1.5"};
  if (!routes_tokens(request.job.description))
    return Error{"--moe-imbalance", request.job.description.family + " routes no tokens to experts", "drop it"};
  if (recipe.experts == Experts::kGrouped)
    return Error{"--moe-imbalance", "changes nothing: " + std::string(kGroupedIsEven),
                 "drop it, or pass --experts loop"};
  constexpr int64_t kParts = 1000;
  recipe.imbalance.over = std::llround(times * kParts);
  recipe.imbalance.under = kParts;
  return std::nullopt;
}

std::optional<Error> read_routing(const Options& asked, Request& request) {
  Job& job = request.job;
  if (!routes_tokens(job.description))
    return asked.has("experts")
               ? std::optional(Error{"--experts", job.description.family + " routes no tokens to experts", "drop it"})
               : std::nullopt;
  if (asked.has("experts") && job.recipe.kernels.mlp == Kernel::kFused) return liger_runs_them();
  warn_of_whole_experts(request);
  std::string spread;
  if (job.recipe.experts == Experts::kGrouped) {
    spread = "any, " + std::string(kGroupedIsEven);
  } else if (job.recipe.imbalance.balanced()) {
    spread = "balanced, every expert gets as many tokens";
  } else {
    job.recipe.imbalance.busiest = worst_place(job);
    spread = "one expert gets " + *asked.text("moe-imbalance") +
             " times its share, every token at most, and the others as many each of the rest; it is the one whose "
             "place in the loop needs most";
  }
  request.assumptions.push_back("routing: " + spread);
  return std::nullopt;
}

}  // namespace peakmem
