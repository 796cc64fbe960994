// Options of a mixture under --stack megatron, by Megatron-LM's own names.
#pragma once

#include <optional>

#include "megatron/job.h"
#include "request/options.h"
#include "size/result.h"

namespace peakmem {

/// What the options say of the model's experts, how many ranks have parts of them and how tokens come there; an error
/// where a model without experts is asked for them, or degrees do not divide.
std::optional<Error> read_mixture(const Options& asked, mcore::Job& job);

}  // namespace peakmem
