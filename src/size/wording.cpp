#include "size/wording.h"

#include <algorithm>

namespace peakmem {

std::string in_quotes(std::string_view text) {
  constexpr size_t kLongest = 60;
  const auto continues = [&](size_t i) { return (static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U; };
  size_t end = std::min(text.size(), kLongest);
  while (end < text.size() && end > 0 && continues(end)) --end;  // no letter of several bytes is cut
  return "\"" + std::string(text.substr(0, end)) + "\"";
}

void add_to_list(std::string& list, std::string_view entry) {
  if (!list.empty()) list += ", ";
  list += entry;
}

}  // namespace peakmem
