// Megatron-LM's command line as its CI keeps it (tests/functional_tests/test_cases/*/model_config.yaml, MODEL_ARGS):
// names of options with their values.
#pragma once

#include <cstdint>

#include "format/value.h"
#include "megatron/job.h"
#include "size/result.h"

namespace peakmem {

/// What is not on the command line: how many ranks there are, which of them is asked for, and the card.
struct MegatronWorld {
  int64_t ranks = 8;
  int64_t rank = 0;
  Processor processor;
};

/// The run of pretrain_gpt.py with such options, as an object. Options that change what memory holds and are not
/// modelled are errors; those that only log, load, save or name files say nothing.
Result<mcore::Job> read_megatron_arguments(const Value& arguments, const MegatronWorld& world);

}  // namespace peakmem
