#include "trace/program.h"

namespace peakmem {

std::string Program::path(int32_t scope) const {
  std::string text;
  for (; scope > 0; scope = scopes[static_cast<size_t>(scope)].parent) {
    const std::string name = scopes[static_cast<size_t>(scope)].name;
    text = text.empty() ? name : name + "." + text;
  }
  return text;
}

}  // namespace peakmem
