// From what was asked with --stack torchtitan to a run of torchtitan.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "request/named_config.h"
#include "request/option_values.h"
#include "torchtitan/job.h"

namespace peakmem {

/// A run that can be traced rank by rank, and what was taken for granted of it.
struct TorchtitanRequest {
  std::string name;
  titan::Job job;               // as its rank 0
  std::optional<int64_t> rank;  // the one that was asked for
  std::vector<std::string> assumptions;
};

/// The run of a Hugging Face config by torchtitan's code. Degrees that do not divide, and what is not modelled, are
/// errors that name both sides.
Result<TorchtitanRequest> read_torchtitan(const NamedConfig& model, const OptionValues& values);

}  // namespace peakmem
