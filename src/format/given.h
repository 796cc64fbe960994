// What a record's object says, and what holds where it says nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "format/json.h"

namespace peakmem {

/// The members of an object, each with what it is where it is missing or of another kind; no object has none.
class Given {
 public:
  explicit Given(const Value* object) : object_(object) {}
  const Value* find(std::string_view name) const;
  int64_t size(std::string_view name, int64_t otherwise) const;
  double real(std::string_view name, double otherwise) const;
  bool flag(std::string_view name, bool otherwise = false) const;
  std::string text(std::string_view name) const;

 private:
  const Value* object_;
};

}  // namespace peakmem
