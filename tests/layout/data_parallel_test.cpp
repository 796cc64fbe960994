#include "layout/data_parallel.h"

#include <algorithm>
#include <set>

#include "trace/evaluate.h"
#include "train/jobs.h"

namespace peakmem {
namespace {

using testing::random_replicated_job;

struct Traced {
  Program program;
  Timeline timeline;
};

Traced traced(const Job& job, bool unrolled = false) {
  Program program = trace_step(job, number_dims(job), unrolled);
  Result<Timeline> timeline = evaluate(program, {});
  EXPECT_TRUE(timeline);
  return {std::move(program), *timeline};
}

int64_t peak(const Traced& traced, int32_t step) {
  return highest(traced.program, traced.timeline, step, &PhaseLevels::tensors).bytes;
}

/// Storages that are buckets and there at the end.
std::vector<Storage> buckets(const Program& program) {
  std::vector<int64_t> alive(program.storages.size(), 0);
  for (const Event& event : program.events) alive[static_cast<size_t>(event.storage)] += event.birth ? 1 : -1;
  std::vector<Storage> found;
  for (size_t i = 0; i < alive.size(); ++i)
    if (alive[i] > 0 && std::string_view(program.storages[i].made_by) == "ddp_bucket")
      found.push_back(program.storages[i]);
  return found;
}

int64_t elements(const std::vector<Storage>& storages) {
  int64_t total = 0;
  for (const Storage& storage : storages) total += storage.bytes.number() / size_of(storage.dtype);
  return total;
}

TEST(DataParallel, OneRankIsOneGpu) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    Job job = random_replicated_job(seed);
    job.recipe.ddp.ranks = 1;
    job.recipe.ddp.no_sync = false;
    Job plain = job;
    plain.recipe.ddp = {};
    EXPECT_EQ(peak(traced(job), 2), peak(traced(plain), 2)) << "seed " << seed;
  }
}

TEST(DataParallel, AnyNumberOfRanksIsTheSame) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    Job job = random_replicated_job(seed);
    const Traced few = traced(job);
    job.recipe.ddp.ranks = 8000;
    const Traced many = traced(job);
    EXPECT_EQ(few.program.events.size(), many.program.events.size());
    EXPECT_EQ(peak(few, 2), peak(many, 2));
  }
}

// But for the blocks of 512: buckets are told apart only where every layer is traced.
TEST(DataParallel, FoldedLayersGiveWhatEveryLayerTracedGives) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    const Job job = random_replicated_job(seed);
    const Traced folded = traced(job);
    const Traced unrolled = traced(job, true);
    for (const int32_t step : {1, 2}) EXPECT_EQ(peak(folded, step), peak(unrolled, step)) << "seed " << seed;
    EXPECT_EQ(folded.timeline.back().end.tensors, unrolled.timeline.back().end.tensors) << "seed " << seed;
  }
}

TEST(DataParallel, BucketsAddUpToWhatIsTrained) {
  for (uint32_t seed = 0; seed < 100; ++seed)
    for (const bool unrolled : {false, true}) {
      const Program program = traced(random_replicated_job(seed), unrolled).program;
      EXPECT_EQ(elements(buckets(program)), program.trained_parameters.number()) << "seed " << seed;
    }
}

TEST(DataParallel, EveryBucketButTheLastIsFull) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    Job job = random_replicated_job(seed);
    job.recipe.ddp.bucket_bytes = 5000;
    const std::vector<Storage> small = buckets(traced(job, true).program);
    const auto full =
        std::count_if(small.begin(), small.end(), [](const Storage& bucket) { return bucket.bytes.number() >= 5000; });
    std::set<DType> dtypes;  // each has buckets of its own
    for (const Storage& bucket : small) dtypes.insert(bucket.dtype);
    EXPECT_GE(full + static_cast<int64_t>(dtypes.size()), static_cast<int64_t>(small.size())) << "seed " << seed;
    job.recipe.ddp.bucket_bytes = 50000;
    EXPECT_LE(buckets(traced(job, true).program).size(), small.size()) << "seed " << seed;
  }
}

TEST(DataParallel, ViewsNeverNeedMore) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    Job job = random_replicated_job(seed);
    job.recipe.ddp.gradient_as_bucket_view = true;
    const int64_t views = peak(traced(job), 2);
    job.recipe.ddp.gradient_as_bucket_view = false;
    EXPECT_LE(views, peak(traced(job), 2)) << "seed " << seed;
  }
}

// While old buckets are held by gradients that look into them, the new ones are there too.
TEST(DataParallel, RebuildingUnderGradientsHoldsBoth) {
  Job job = random_replicated_job(3);
  job.recipe.accumulate = 2;
  job.recipe.ddp = {.ranks = 2, .gradient_as_bucket_view = true};
  const Traced here = traced(job);
  const int64_t trained = here.program.trained_parameters.number() * size_of(job.recipe.weights);
  for (size_t i = 0; i < here.timeline.size(); ++i) {
    const Phase& phase = here.program.phases[i];
    if (std::string_view(phase.name) != "forward" || phase.micro != 1 || phase.step != 1) continue;
    EXPECT_GE(here.timeline[i].tensors.bytes, here.timeline[i].start.tensors + trained);
  }
}

}  // namespace
}  // namespace peakmem
