// From a trace file and options to a request: letters for sizes, and what of the options a trace can have.
#pragma once

#include <string_view>
#include <vector>

#include "request/request.h"

namespace peakmem {

/// The request about a recording. Options that are letters of it set them, as --at does; those of the GPU and of its
/// allocator count as for every model; any other is refused, for the step was traced as it is, and so is a
/// command that wants a config.
Result<Request> recorded_request(const NamedConfig& model, const OptionValues& values, Command command);

/// The letters a model is asked about by name beside the options: those of a recording, of a config none.
std::vector<std::string_view> letter_names(const NamedConfig* model);
/// The letter that `name` is, or whose option it is; -1 if there is none.
int32_t find_letter(const Recording& recording, std::string_view name);

}  // namespace peakmem
