// Python as far as reading goes: calls with their arguments, and names that are assigned literals. Nothing is run.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "format/value.h"
#include "size/result.h"

namespace peakmem {

/// A call by its dotted name, in the order in which they stand; `arguments` is an object, positions being "0", "1", ...
struct PythonCall {
  std::string name;
  Value arguments = {.kind = Value::Kind::kObject};
};

/// What a file calls and assigns. A value that only running would tell is a text that begins with `$`.
struct PythonFile {
  std::vector<PythonCall> calls;
  Value names = {.kind = Value::Kind::kObject};
};

inline constexpr size_t kPythonMaxBytes = size_t{1} << 20;

/// The calls and names of `text`. Refused are brackets and strings that do not end, and nesting without end.
Result<PythonFile> read_python(std::string_view text);

}  // namespace peakmem
