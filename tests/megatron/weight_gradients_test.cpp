// Products that add to the buffers of gradients: one gradient for all weights of a shape, which stays.
#include <algorithm>
#include <string>

#include "device/gpu.h"
#include "megatron/step.h"
#include "trace/evaluate.h"

namespace peakmem {
namespace {

mcore::Job job_of(bool te, bool fuses) {
  mcore::Job job;
  job.model.layers = 3;
  job.model.hidden = 64;
  job.model.heads = job.model.groups = 4;
  job.model.head_dim = 16;
  job.model.ffn = 256;
  job.model.vocab = 512;
  job.model.positions = 32;
  job.kernels = {.te = te, .te_is_there = te, .compiled = true, .apex = true, .te_adam = true};
  job.kernels.fuses_accumulation = fuses;
  job.training.seq = 32;
  job.training.micro_batches = 2;
  job.training.pretrains = true;
  job.processor = processor_of(*find_gpu("h100-80gb"));
  return job;
}

int64_t made_by(const Program& program, const std::string& op) {
  return std::ranges::count_if(program.storages, [&](const Storage& each) { return each.made_by == op; });
}

TEST(MegatronWeightGradients, OneOfEachShape) {
  for (const bool te : {false, true}) {
    EXPECT_EQ(made_by(mcore::trace_rank(job_of(te, false)), "get_dummy_wgrad"), 0);
    // Queries, keys and values; the projection; up; down; the head, which is the embedding.
    EXPECT_EQ(made_by(mcore::trace_rank(job_of(te, true)), "get_dummy_wgrad"), 5);
  }
}

TEST(MegatronWeightGradients, StayAfterTheStep) {
  const auto end = [](bool fuses) {
    const Program program = mcore::trace_rank(job_of(true, fuses));
    return evaluate(program, {})->back().end.tensors;
  };
  constexpr int64_t kElements = 3 * 64 * 64 + 64 * 64 + 2 * 256 * 64 + 512 * 64;
  EXPECT_EQ(end(true) - end(false), 2 * kElements);
}

}  // namespace
}  // namespace peakmem
