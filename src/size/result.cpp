#include "size/result.h"

namespace peakmem {

[[gnu::noinline]] Error::Error(std::string_view in_field, std::string_view of_problem, std::string_view with_hint)
    : field(in_field), problem(of_problem), hint(with_hint) {}

[[gnu::noinline]] Error::Error(const Error& other) = default;
[[gnu::noinline]] Error::Error(Error&& other) noexcept = default;

[[gnu::noinline]] Error& Error::operator=(Error other) noexcept {
  field.swap(other.field);
  problem.swap(other.problem);
  hint.swap(other.hint);
  return *this;
}

[[gnu::noinline]] Error::~Error() = default;

}  // namespace peakmem
