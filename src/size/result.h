// Failure as a value: what went wrong, where, and what to do about it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace peakmem {

/// Why an answer could not be given: `problem` says what, `field` where (an option, a config field), `hint` what to do.
/// A hundred places make one, each moves and drops three strings: inlined, that was much of the WebAssembly
/// module.
struct Error {
  Error() = default;
  Error(std::string_view in_field, std::string_view of_problem, std::string_view with_hint);
  Error(const Error& other);
  Error(Error&& other) noexcept;
  Error& operator=(Error other) noexcept;
  ~Error();

  std::string field;
  std::string problem;
  std::string hint;
};

/// A value or the Error that stood in its way.
template <class T>
class Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return value_.has_value(); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  const Error& error() const { return error_; }

 private:
  std::optional<T> value_;
  Error error_;
};

}  // namespace peakmem
