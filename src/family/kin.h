// Families of transformers that are not modelled: which known one is nearest in kind, and what it has otherwise.
#pragma once

#include <string>
#include <string_view>

namespace peakmem {

/// What to say of a `model_type` that is not known: its kin, which is no stand-in; or a known name that it is a slip
/// of; or the known names. Names that look alike say nothing: bart is not bert.
std::string hint_for_unknown(std::string_view model_type);

}  // namespace peakmem
