#include "device/cublas.h"

#include <gtest/gtest.h>

#include "../train/jobs.h"
#include "train/step.h"

namespace peakmem {
namespace {

/// One op in a forward pass and one in its backward.
Program program_of(const char* forward, const char* backward) {
  Program program;
  program.storages = {{.bytes = 8, .made_by = forward}, {.bytes = 8, .made_by = backward}};
  program.events = {{0, true}, {1, true}};
  program.segments = {{0, 1, 0}, {1, 2, 0}};
  program.phases = {{1, 0, "forward", 0, 1}, {1, 0, "backward", 1, 2}};
  return program;
}

TEST(Cublas, AThreadHasAHandleOnceItMultiplies) {
  EXPECT_EQ(cublas_handles(program_of("addmm", "mm")), 2);
  EXPECT_EQ(cublas_handles(program_of("addmm", "sum")), 1);
  EXPECT_EQ(cublas_handles(program_of("add", "sum")), 0);
}

TEST(Cublas, ATrainingHasTwo) {
  const Job job = peakmem::testing::random_job(4);
  EXPECT_EQ(cublas_handles(trace_step(job, number_dims(job))), 2);
}

}  // namespace
}  // namespace peakmem
