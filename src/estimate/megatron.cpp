#include "estimate/megatron.h"

#include "megatron/step.h"

namespace peakmem {
namespace {

RankPlace place_of(const mcore::Job& job, int64_t rank, int64_t ranks) {
  const int64_t stage = mcore::place_of(job.degrees, rank).stage;
  RankPlace place = {.rank = rank, .ranks = ranks, .stage = stage, .layers = 0, .embeds = false, .heads = false};
  for (int64_t i = 0; i < job.degrees.vpp; ++i) {
    const mcore::Chunk chunk = mcore::chunk_of(job, stage, i);
    place.layers += chunk.layers;
    place.embeds = place.embeds || chunk.embeds;
    place.heads = place.heads || chunk.heads;
  }
  return place;
}

/// The ranks to trace: the first of every stage and part of the sequence, and where parts of the optimizer's state are
/// divided the last too.
std::vector<RankPlace> classes_of(const mcore::Job& job) {
  const mcore::Degrees& d = job.degrees;
  std::vector<RankPlace> classes;
  const int64_t of_stage = d.tp * d.copies();
  const bool two = job.training.distributed_optimizer && d.copies() > 1;
  for (int64_t stage = 0; stage < d.pp; ++stage) {
    for (int64_t context = 0; context < d.cp; ++context) {
      const int64_t last = two && context == d.cp - 1 ? d.tp : 0;
      if (d.tp * d.dp > last) classes.push_back(place_of(job, stage * of_stage + context * d.tp, d.tp * d.dp - last));
    }
    if (two) classes.push_back(place_of(job, (stage + 1) * of_stage - d.tp, d.tp));
  }
  return classes;
}

}  // namespace

Result<RankClass> megatron_rank(const mcore::Job& job, const RankCard& card) {
  return report_rank(place_of(job, job.rank, 1), [&job](int64_t) { return mcore::trace_rank(job); }, card);
}

Result<RankReport> megatron_report(const mcore::Job& job, const std::optional<int64_t>& rank, const RankCard& card) {
  const auto trace = [&job](int64_t which) {
    mcore::Job of_rank = job;
    of_rank.rank = which;
    return mcore::trace_rank(of_rank);
  };
  std::optional<RankPlace> shown;
  if (rank) shown = place_of(job, *rank, 1);
  return report_ranks(classes_of(job), trace, shown, card);
}

}  // namespace peakmem
