// What a configuration file says, independent of the format it was written in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace peakmem {

struct Member;

/// A parsed JSON value; objects keep the order of their members.
struct Value {
  enum class Kind { kNull, kBool, kInteger, kReal, kString, kList, kObject };

  Kind kind = Kind::kNull;
  bool boolean = false;
  int64_t integer = 0;  // of kInteger; a number too large for it is kReal
  double real = 0;      // of kReal, and of kInteger converted
  std::string string;
  std::vector<Value> items;     // of kList
  std::vector<Member> members;  // of kObject

  bool is_null() const { return kind == Kind::kNull; }
  /// The member of that name (the last one, where a name stands twice), or null if there is none.
  const Value* find(std::string_view name) const;
};

/// What an object holds under a name. Not a std::pair, which would have to be complete before Value is.
struct Member {
  std::string name;
  Value value;
};

inline const Value* Value::find(std::string_view name) const {
  const Value* found = nullptr;
  for (const Member& member : members)
    if (member.name == name) found = &member.value;
  return found;
}

}  // namespace peakmem
