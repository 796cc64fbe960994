#include "estimate/collectives.h"

#include "estimate/op_work.h"

namespace peakmem {
namespace {

/// The part of what is gathered that a rank sends.
double ring(int64_t ranks) { return static_cast<double>(ranks - 1) / static_cast<double>(ranks); }

/// FSDP and HSDP: what the trace gathers and scatters; the shards of all copies are summed besides.
Sent sent_by_shards(const Recipe& recipe, const Program& program) {
  const Sharding& sharding = recipe.sharding;
  const auto made = [&](std::string_view op) { return steady_bytes(program, {}, recipe.accumulate, op); };
  Sent sent;
  if (sharding.shards > 1)
    sent.bytes += ring(sharding.shards) * (made("all_gather_output") + made("reduce_scatter_input"));
  if (sharding.replicas > 1) sent.bytes += 2 * ring(sharding.replicas) * made("reduce_scatter_output");
  return sent;
}

double trained_bytes(const Program& program, DType dtype) {
  return static_cast<double>(program.trained_parameters.number()) * static_cast<double>(size_of(dtype));
}

/// DDP sums gradients after every micro-batch, or after the last one only.
Sent sent_by_ddp(const Recipe& recipe, const Program& program) {
  const int64_t sums = reduces_last_only(recipe) || reduces_once(recipe) ? 1 : recipe.accumulate;
  return {2 * ring(recipe.ddp.ranks) * trained_bytes(program, trained_dtype(recipe)) * static_cast<double>(sums), true};
}

/// DeepSpeed reduces each gradient to its owner, in stage 2 after every micro-batch, and gathers what was updated.
Sent sent_by_zero(const Recipe& recipe, const Program& program) {
  const int64_t sums = recipe.zero.stage >= 2 ? recipe.accumulate : 1;
  const double bytes = trained_bytes(program, trained_dtype(recipe));
  return {ring(recipe.zero.ranks) * bytes * static_cast<double>(sums + 1), recipe.zero.overlaps};
}

}  // namespace

Sent sent_in_step(const Job& job, const Program& program) {
  const Recipe& recipe = job.recipe;
  if (is_wrapped(recipe.sharding)) return sent_by_shards(recipe, program);
  if (recipe.ddp.ranks > 1) return sent_by_ddp(recipe, program);
  if (recipe.zero.ranks > 1) return sent_by_zero(recipe, program);
  return {};
}

}  // namespace peakmem
