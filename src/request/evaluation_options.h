// What is evaluated after a step, from its options.
#pragma once

#include "request/request.h"

namespace peakmem {

std::optional<Error> read_evaluation(const Options& asked, Recipe& recipe);
/// What of an evaluation is taken for granted; empty where there is none.
std::string evaluation_assumption(const Recipe& recipe);
/// What no loop does, or was not measured.
std::optional<Error> check_evaluation(const Job& job);

}  // namespace peakmem
