// The options of DeepSpeed's ZeRO.
#pragma once

#include <optional>

#include "request/request.h"

namespace peakmem {

/// Reads --zero and what goes with it into the recipe, after all its other choices were read.
std::optional<Error> read_zero(const Options& asked, Request& request);

/// Of a job that was checked: the rank that keeps most, where that one was asked for, and how ranks differ.
void settle_rank(const Options& asked, Request& request);

/// Refuses what ZeRO contradicts and what beside it is not modelled.
std::optional<Error> check_zero(const Job& job);

}  // namespace peakmem
