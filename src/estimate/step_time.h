// How long a step takes, about: a roofline over the ops of the trace. An estimate for ordering, never a measurement.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "device/gpu.h"
#include "estimate/module_work.h"
#include "recipe/job.h"
#include "size/result.h"

namespace peakmem {

/// A number of an estimate, with how low and how high it may be.
struct About {
  double low = 0;
  double likely = 0;
  double high = 0;
};

/// The seconds of one class of ops or pass, as they are likely.
struct TimePart {
  std::string name;
  double flops = 0;
  double bytes = 0;
  double seconds = 0;
};

/// A step of one rank. Seconds, bytes and floating-point operations.
struct StepTime {
  double flops = 0;        // that kernels do
  double model_flops = 0;  // that the model asks for (PaLM, arXiv:2204.02311, appendix B)
  double bytes = 0;        // that are read and written
  double sent_bytes = 0;   // to other ranks
  double ops = 0;          // that make something
  double tokens = 0;       // of this rank
  int64_t ranks = 1;
  double rate = 0;  // of products in the job's dtype, of which model flops utilization is a share
  DType dtype = DType::kFloat32;
  About seconds;
  About tokens_per_second;           // of all ranks
  About mfu;                         // model flops utilization
  std::vector<TimePart> parts;       // computing by what bounds it, the update, what is sent
  std::vector<ModuleWork> modules;   // that multiply, the most first
  std::vector<std::string> reasons;  // why low, likely and high are what they are
};

/// The steady step of a job on a GPU whose rates are known. Fails for a job that was traced elsewhere, whose ops are
/// known by name alone, and for a GPU without rates.
Result<StepTime> step_time(const Job& job, const Gpu& gpu);

/// What stands in the way of an estimate on a card.
std::optional<Error> check_rates(const Gpu& gpu, std::string_view field = "--gpu");

/// The same of a trace on numbers; no modules.
StepTime step_time(const Job& job, const Program& program, const Gpu& gpu);

}  // namespace peakmem
