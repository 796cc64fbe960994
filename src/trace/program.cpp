#include "trace/program.h"

namespace peakmem {

int32_t Program::common(int32_t a, int32_t b) const {
  while (a != b) {
    int32_t& inner = a > b ? a : b;  // a module is entered after those around it
    inner = scopes[static_cast<size_t>(inner)].parent;
  }
  return a;
}

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

std::string Program::place(const Storage& storage) const {
  const Turn& turn = turns[static_cast<size_t>(storage.turn)];
  const bool one_layer = turn.repeat != 0 && identical(turn.count, 1);
  return one_layer ? name(storage.scope, turn.layer) : path(storage.scope);
}

}  // namespace peakmem
