// What many readers do with words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace peakmem {

/// Without the blanks, tabs and ends of lines around it.
std::string_view trimmed(std::string_view text);

/// Its ASCII letters small.
std::string lower(std::string_view text);

/// The parts between marks, trimmed; an empty text has one, which is empty.
std::vector<std::string> split(std::string_view text, char mark);

}  // namespace peakmem
