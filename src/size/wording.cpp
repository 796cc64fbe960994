#include "size/wording.h"

namespace peakmem {

std::string in_quotes(std::string_view text) {
  constexpr size_t kLongest = 60;
  return "\"" + std::string(text.substr(0, kLongest)) + "\"";
}

void add_to_list(std::string& list, std::string_view entry) {
  if (!list.empty()) list += ", ";
  list += entry;
}

}  // namespace peakmem
