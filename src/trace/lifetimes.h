// Whether a program can have happened: nothing is released that is not there.
#pragma once

#include <optional>
#include <vector>

#include "size/result.h"
#include "trace/program.h"

namespace peakmem {

/// What is wrong with the births and releases of a program that came from elsewhere. `values`: of its pool's formulas.
///
/// Where no turn stands for several, each storage is made before it is released, and is there twice at most (outputs
/// are made once more before those of the step before go); the steady step can follow itself. Where turns repeat, one
/// layer's storage may go in the turn of the next, so that only those alike (of one scope, category and size) are
/// counted together, in the first and in the last turn.
std::optional<Error> check_lifetimes(const Program& program, const std::vector<int64_t>& values);

}  // namespace peakmem
