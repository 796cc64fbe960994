#include "request/unknowns.h"

namespace peakmem {

std::vector<std::string_view> unknown_names() {
  std::vector<std::string_view> names(kUnknownLetters.begin(), kUnknownLetters.end());
  for (const OptionUnknown& row : kOptionUnknowns) names.push_back(row.name);
  names.insert(names.end(), kFewest.begin(), kFewest.end());
  return names;
}

}  // namespace peakmem
