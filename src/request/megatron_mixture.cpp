#include "request/megatron_mixture.h"

#include <array>
#include <string>

#include "request/stack_options.h"

namespace peakmem {
namespace {

constexpr std::array kOfMixtures = std::to_array<std::string_view>(
    {"ep", "etp", "moe-dispatcher", "moe-router-topk", "moe-router-load-balancing-type", "moe-router-dtype",
     "moe-ffn-hidden-size", "moe-shared-expert-intermediate-size", "moe-grouped-gemm"});

/// The router: experts of a token, and what evens them out.
void read_router(const Options& asked, mcore::Mixture& m) {
  m.experts_per_token = asked.size("moe-router-topk").value_or(m.experts_per_token);
  const std::string* balancing = asked.text("moe-router-load-balancing-type");
  if (balancing != nullptr) {
    m.router = *balancing == "sinkhorn" ? mcore::Router::kSinkhorn : mcore::Router::kTopK;
    m.has_aux_loss = *balancing == "aux_loss";
  }
  const std::string* dtype = asked.text("moe-router-dtype");
  m.routes_in_full = dtype != nullptr && *dtype == "fp32";
}

std::optional<Error> check_modules(const mcore::Job& job) {
  const mcore::Mixture& m = job.model.mixture;
  if (m.experts_per_token > m.experts)
    return Error{"--moe-router-topk",
                 std::to_string(m.experts_per_token) + " of " + std::to_string(m.experts) + " experts",
                 "fewer of them"};
  if (job.model.linear_bias)
    return Error{"--num-experts", "biases of experts are not modelled for Megatron-Core", "add --disable-bias-linear"};
  if (m.grouped && !job.kernels.te)
    return Error{"--moe-grouped-gemm", "is of TransformerEngine's modules",
                 "add --transformer-impl transformer_engine"};
  if (job.degrees.vpp > 1) return Error{"--vpp", "interleaved pipelines are not modelled for experts", "drop it"};
  if (job.degrees.tp > 1 && !job.degrees.sequence_parallel)
    return Error{"--tp", "Megatron-Core trains experts beside tensor parallelism with sequence parallelism alone",
                 "give --sequence-parallel"};
  return std::nullopt;
}

}  // namespace

// A mixture's ranks are those of the rest, divided anew.
std::optional<Error> read_mixture(const Options& asked, mcore::Job& job) {
  mcore::Degrees& d = job.degrees;
  mcore::Mixture& m = job.model.mixture;
  if (m.experts == 0 && asked.has("num-experts"))
    m = {.experts = asked.size("num-experts").value_or(0), .ffn = job.model.ffn, .has_aux_loss = true};
  for (const std::string_view option : kOfMixtures)
    if (asked.has(option) && m.experts == 0)
      return Error{"--" + std::string(option), "the model has no experts", "drop it"};
  if (m.experts == 0) return std::nullopt;
  d.ep = asked.size("ep").value_or(1);
  d.etp = asked.size("etp").value_or(0);
  read_router(asked, m);
  m.ffn = asked.size("moe-ffn-hidden-size").value_or(m.ffn);
  m.shared_ffn = asked.size("moe-shared-expert-intermediate-size").value_or(0);
  m.grouped = asked.flag("moe-grouped-gemm");
  const std::string* dispatcher = asked.text("moe-dispatcher");
  if (dispatcher != nullptr && *dispatcher == "allgather") m.dispatcher = mcore::Dispatcher::kAllGather;
  job.kernels.fuses_activation = job.model.gated;
  if (auto wrong = check_modules(job)) return wrong;
  if (auto wrong = check_division({"--ep", d.ep, m.experts, "experts"})) return wrong;
  if (auto wrong = check_division({"--etp", d.expert_tp(), m.ffn, "features of an expert"})) return wrong;
  if (m.shared_ffn > 0)
    if (auto wrong = check_division({"--tp", d.tp, m.shared_ffn, "features of the shared expert"})) return wrong;
  return check_division({d.etp > 0 ? "--etp" : "--ep", d.ep * d.expert_tp(), d.tp * d.copies(), "ranks of a stage"});
}

}  // namespace peakmem
