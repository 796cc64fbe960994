// What the help and the manual teach by: examples, and what an operand may be.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "request/options.h"

namespace peakmem::cli {

/// What is typed, and what that is; `what` is empty where the first says it itself.
struct Entry {
  std::string_view typed;
  std::string_view what;
};

/// Lines that can be typed as they stand.
std::vector<Entry> examples_of(Command command);
/// What MODEL may be.
std::span<const Entry> model_forms();
/// What FILE of `diff` may be.
std::span<const Entry> file_forms();
/// A sentence on a command that its options do not say; empty for most.
std::string_view note_of(Command command);
/// Names of the options that most runs need, in the order to show them.
std::span<const std::string_view> most_used();

}  // namespace peakmem::cli
