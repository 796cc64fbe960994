#include "estimate/torchtitan.h"

#include "torchtitan/step.h"

namespace peakmem {
namespace {

RankPlace place_of(titan::Job job, int64_t rank, int64_t ranks) {
  job.rank = rank;
  RankPlace place = {.rank = rank, .ranks = ranks, .stage = job.stage(), .layers = 0, .embeds = false, .heads = false};
  for (int64_t i = 0; i < job.stages_each(); ++i) {
    const titan::Chunk chunk = titan::chunk_of(job, job.stage() + i * job.degrees.pp);
    place.layers += chunk.layers;
    place.embeds = place.embeds || chunk.embeds;
    place.heads = place.heads || chunk.heads;
  }
  return place;
}

}  // namespace

Result<RankReport> torchtitan_report(const titan::Job& job, const std::optional<int64_t>& rank) {
  const auto trace = [&job](int64_t which) {
    titan::Job of_rank = job;
    of_rank.rank = which;
    return titan::trace_rank(of_rank);
  };
  const int64_t of_stage = job.degrees.ranks() / job.degrees.pp;
  std::vector<RankPlace> classes;
  const titan::Degrees& d = job.degrees;
  for (int64_t stage = 0; stage < d.pp; ++stage)
    for (int64_t context = 0; context < d.cp; ++context)
      classes.push_back(place_of(job, stage * of_stage + context * d.tp, of_stage / d.cp));
  std::optional<RankPlace> shown;
  if (rank) shown = place_of(job, *rank, 1);
  return report_ranks(classes, trace, shown);
}

}  // namespace peakmem
