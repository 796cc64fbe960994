// What is solved for: from options to a job at every value of it.
#pragma once

#include <functional>
#include <memory>

#include "plan/solve.h"
#include "request/request.h"

namespace peakmem {

/// The unknown of a question: the request without a value of it, and with one.
struct Sought {
  Request request;
  std::function<Result<Request>(int64_t value)> at;
  Variants variants;
};

/// Reads `name` of `values`, in which neither --for nor an option of that name may stand. `batch`, `seq` and
/// `target-seq` are letters of one trace; for others every value is a request of its own, as were the option given:
///
///   hidden, heads, …   edits of the config; values are multiples of what the model's other sizes ask for
///   accumulate         the batch is cut in so many micro-batches, and the smallest number that fits is sought
///   fsdp, gpus, ranks  the smallest number of ranks; `gpus` may be 1, without FSDP; `ranks` are ZeRO's
///   zero               the smallest stage of ZeRO
Result<Sought> read_sought(const NamedConfig* model, const OptionValues& values, const std::string& name);

/// Solves it on the request's GPU, and says what limits it where the next value is no job.
Result<Solution> solve_for(const Sought& sought, Effort effort = Effort::kWhole);

}  // namespace peakmem
