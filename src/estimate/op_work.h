// What the ops of a steady step compute and move: the trace's ops with numbers in place of letters, and how often each
// runs.
#pragma once

#include <cstdint>
#include <vector>

#include "trace/program.h"

namespace peakmem {

/// What an op spends its time with.
enum class OpClass : uint8_t { kProduct, kAttention, kMemory };
/// The part of a step that it belongs to; `again` is a checkpointed layer's second forward pass.
enum class Pass : uint8_t { kForward, kBackward, kAgain, kUpdate };
inline constexpr size_t kPasses = 4;
inline constexpr size_t kOpClasses = 3;

/// An op, or several that make one storage. Numbers are of one run.
struct OpWork {
  OpClass what = OpClass::kMemory;
  Pass pass = Pass::kForward;
  DType dtype = DType::kFloat32;
  int32_t storage = 0;     // its result
  double flops = 0;        // floating-point operations that the kernel does; a multiplication and an addition are two
  double model_flops = 0;  // those that the model asks for: nothing again, nothing left out of attention (PaLM, app. B)
  double bytes = 0;        // read and written
  double times = 0;        // runs in a step
};

/// The ops of the steady step up to its update: of micro-batches that were traced once for many, all. `values`: of the
/// pool's formulas, empty for a program of numbers; `accumulate`: micro-batches of a step.
std::vector<OpWork> steady_work(const Program& program, const std::vector<int64_t>& values, int64_t accumulate);

/// Bytes of storages that an op of that name makes in a steady step: of a collective what it sends or gathers.
double steady_bytes(const Program& program, const std::vector<int64_t>& values, int64_t accumulate,
                    std::string_view made_by);

/// How often each storage is made in a steady step.
std::vector<double> steady_births(const Program& program, const std::vector<int64_t>& values, int64_t accumulate);

}  // namespace peakmem
