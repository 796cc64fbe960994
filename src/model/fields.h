// Reading a config: fields with types, bounds and defaults; the first thing wrong is the answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/value.h"
#include "size/result.h"

namespace peakmem {

/// A config object being read; remembers which fields were asked for and the first error.
class Fields {
 public:
  explicit Fields(const Value& object) : object_(object) {}

  /// A size above zero. With an alias (transformers' attribute_map) the alias wins, as there.
  int64_t size(std::string_view name, int64_t otherwise, std::string_view alias = {});
  /// The same, where null or nothing means "derive it".
  std::optional<int64_t> optional_size(std::string_view name, std::string_view alias = {});
  bool flag(std::string_view name, bool otherwise);
  /// A dropout probability, 0 up to but not 1.
  double probability(std::string_view name, double otherwise);
  std::string text(std::string_view name, std::string_view otherwise);
  /// A list of texts; empty if the field is null or missing.
  std::vector<std::string> texts(std::string_view name);
  const Value* find(std::string_view name);
  /// Present and not null.
  bool has(std::string_view name);

  /// These are known and change nothing here.
  void ignore(std::initializer_list<std::string_view> names);
  /// Note an error unless there is one already.
  void fail(std::string_view field, std::string_view problem, std::string_view hint = {});
  /// A field that would change the answer and is not modelled: an error unless it has this harmless value.
  void refuse_flag(std::string_view name, bool harmless, std::string_view reason);

  /// Fields of a part, an object of its own, that nobody asked for.
  void note_unknown(std::string_view part, const std::vector<std::string>& names);

  const std::optional<Error>& error() const { return error_; }
  /// Fields nobody asked for, in the order of the file; then those of its parts.
  std::vector<std::string> unknown() const;

 private:
  std::optional<int64_t> whole(std::string_view name);
  const Value& object_;
  std::vector<std::string_view> asked_;
  std::vector<std::string> of_parts_;
  std::optional<Error> error_;
};

}  // namespace peakmem
