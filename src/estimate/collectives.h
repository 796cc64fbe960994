// What a rank sends to the others in a step.
#pragma once

#include "recipe/job.h"
#include "trace/program.h"

namespace peakmem {

/// Bytes that a rank sends, and whether that goes on beside the computing.
struct Sent {
  double bytes = 0;
  bool overlaps = true;
};

/// Of a steady step of the job whose trace is `program`, on numbers. Collectives go around a ring: of S bytes that are
/// gathered or reduced to shards over n ranks each sends S·(n − 1)/n, of an all-reduce twice that (NCCL's tests,
/// PERFORMANCE.md).
Sent sent_in_step(const Job& job, const Program& program);

}  // namespace peakmem
