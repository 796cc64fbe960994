// The options of adapters, and of how the frozen weights beside them are stored.
#pragma once

#include <optional>

#include "request/request.h"

namespace peakmem {

/// Reads --lora-rank, --lora-targets, --lora-dropout, --lora-dtype, --quantize and --double-quant into the recipe,
/// after its precision and checkpointing were read.
std::optional<Error> read_adapters(const Options& asked, Request& request);

/// Refuses adapters and quantized weights that contradict themselves or are not modelled.
std::optional<Error> check_adapters(const Job& job);

}  // namespace peakmem
