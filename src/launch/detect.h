// Whose file it is: told by its content.
#pragma once

#include <cstdint>
#include <string_view>

#include "format/value.h"
#include "launch/table.h"

namespace peakmem {

/// The tool whose keys the mapping has; null where no tool's are.
const ToolRow* tool_of(const Value& object, const std::vector<ToolRow>& tools);
/// The tool that a command line runs, by its words joined by spaces; null where it is none's.
const ToolRow* tool_of_command(std::string_view words, const std::vector<ToolRow>& tools);
const ToolRow* tool_named(std::string_view name, const std::vector<ToolRow>& tools);

/// What a text is, before anybody reads it.
enum class TextForm : uint8_t { kBinary, kJson, kPython, kToml, kShell, kYaml };
TextForm form_of(std::string_view text, std::string_view name);

}  // namespace peakmem
