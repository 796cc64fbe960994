// From what was asked with --stack megatron to a run of Megatron-Core.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "estimate/rank_report.h"
#include "megatron/job.h"
#include "request/named_config.h"
#include "request/option_values.h"

namespace peakmem {

/// The card that every rank has; its GPU lives as long as `own` where that is set, else as the table.
struct StackCard {
  RankCard card;
  std::shared_ptr<const Gpu> own;
};

/// A run that can be traced rank by rank, and what was taken for granted of it.
struct MegatronRequest {
  std::string name;
  mcore::Job job;               // as its rank 0
  std::optional<int64_t> rank;  // the one that was asked for
  StackCard card;
  std::vector<std::string> assumptions;
};

/// The run of a Hugging Face config by Megatron-Core's code. Degrees that do not divide, and what is not modelled, are
/// errors that name both sides.
Result<MegatronRequest> read_megatron(const NamedConfig& model, const OptionValues& values);

}  // namespace peakmem
