// Values of a file held to what they must be, with the place of what is not.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/objects.h"
#include "size/result.h"

namespace peakmem {

/// Reads values one by one. `field` is the place of a value, for the Error: only the first complaint counts, and what
/// is read after it, as the wrong value itself, is empty, 0 or false.
class ObjectReader {
 public:
  using Kind = Objects::Kind;
  using Names = std::vector<std::string_view>;
  static constexpr size_t kMaxText = 256;  // bytes, unless said otherwise

  bool failed() const { return error_.has_value(); }
  /// Of a reader that failed.
  Error& error() { return *error_; }
  void complain(std::string_view field, std::string_view problem, std::string_view hint = {});

  int64_t integer(Object value, const std::string& field, int64_t low, int64_t high);
  /// A place in a list of `size`, whose items `of` names.
  int32_t index(Object value, const std::string& field, size_t size, std::string_view of);
  bool truth(Object value, const std::string& field);
  /// Of at most so many bytes and without control characters; alive as long as the file.
  std::string_view text(Object value, const std::string& field, size_t most = kMaxText);
  std::string optional_text(Object object, std::string_view member);
  /// The place of a text among those that are known.
  size_t one_of(Object value, const std::string& field, std::span<const std::string_view> known);

  /// Complains of a member that is not known; names with `x-` are anybody's.
  void check_members(Object object, const Names& known, const std::string& field);
  /// A list that must be there, or may be left out.
  Object list(Object object, std::string_view name, bool needed = true);
  /// Whether `row` is a list of so many.
  bool is_row(Object row, const std::string& field, size_t least, size_t most);
  /// The texts of a list that may be left out.
  std::vector<std::string> lines(Object object, std::string_view member);
  /// Calls `each` with every item and its place, up to the first complaint.
  template <class Each>
  void for_each(Object list, std::string_view name, const Each& each) {
    for (size_t i = 0; i < list.size() && !failed(); ++i)
      each(list.at(i), std::string(name) + "[" + std::to_string(i) + "]");
  }

 private:
  std::optional<Error> error_;
};

}  // namespace peakmem
