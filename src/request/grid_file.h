// A grid file: what a sweep varies, as an object of JSON.
//
//     {"batch": "1..64", "gpu": ["t4", "l4"]}       an option, and its values as --values has them or as a list
#pragma once

#include "request/option_values.h"
#include "size/result.h"

namespace peakmem {

/// Puts --over and --values in the place of --grid, which has the file's text; what stands in the way.
std::optional<Error> read_grid_file(OptionValues& values);

}  // namespace peakmem
