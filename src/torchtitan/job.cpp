#include "torchtitan/job.h"

namespace peakmem::titan {

Chunk chunk_of(const Job& job, int64_t stage) {
  const int64_t stages = job.stages();
  if (stages == 1) return {.first = 0, .layers = job.model.layers, .embeds = true, .heads = true};
  const int64_t all = job.model.layers + 2;
  const int64_t each = all / stages;
  const int64_t longer = all % stages;  // the first of them have one more
  const int64_t before = stage * each + (stage < longer ? stage : longer);
  Chunk chunk;
  chunk.embeds = stage == 0;
  chunk.heads = stage == stages - 1;
  chunk.first = chunk.embeds ? 0 : before - 1;
  chunk.layers = each + (stage < longer ? 1 : 0) - (chunk.embeds || chunk.heads ? 1 : 0);
  return chunk;
}

}  // namespace peakmem::titan
