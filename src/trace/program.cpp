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

std::string Program::name(int32_t scope, int64_t layer) const {
  std::string text = path(scope);
  if (const size_t star = text.find('*'); star != std::string::npos) text.replace(star, 1, std::to_string(layer));
  return text;
}

}  // namespace peakmem
