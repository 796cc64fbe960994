// Scripts by which shells complete commands, options and their values, made of the tables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace peakmem::cli {

/// bash, zsh, fish.
std::vector<std::string_view> shell_names();
/// The script for one of them; empty for another name.
std::string completions_for(std::string_view shell);

}  // namespace peakmem::cli
