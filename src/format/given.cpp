#include "format/given.h"

namespace peakmem {

const Value* Given::find(std::string_view name) const { return object_ != nullptr ? object_->find(name) : nullptr; }

int64_t Given::size(std::string_view name, int64_t otherwise) const {
  const Value* found = find(name);
  return found != nullptr && found->kind == Value::Kind::kInteger ? found->integer : otherwise;
}

double Given::real(std::string_view name, double otherwise) const {
  const Value* found = find(name);
  return found != nullptr && !found->is_null() ? found->real : otherwise;
}

bool Given::flag(std::string_view name, bool otherwise) const {
  const Value* found = find(name);
  return found != nullptr && found->kind == Value::Kind::kBool ? found->boolean : otherwise;
}

std::string Given::text(std::string_view name) const {
  const Value* found = find(name);
  return found != nullptr ? found->string : "";
}

}  // namespace peakmem
