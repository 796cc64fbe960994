// What weights are kept in, and what autocast runs over them.
#pragma once

#include <optional>

#include "request/request.h"

namespace peakmem {

/// Reads --precision and --autocast into the recipe, and says refuses what contradicts itself.
std::optional<Error> read_precision(const Options& asked, Request& request);

/// Says what fp16 is here, once it is known in what adapters are kept: fp16=True of TrainingArguments is fp16-mixed.
void say_of_fp16(Request& request);

}  // namespace peakmem
