#include "format/object_reader.h"

#include <algorithm>
#include <utility>

#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {

void ObjectReader::complain(std::string_view field, std::string_view problem, std::string_view hint) {
  if (!error_) error_ = Error{field, problem, hint};
}

int64_t ObjectReader::integer(Object value, const std::string& field, int64_t low, int64_t high) {
  if (!value.is(Kind::kInteger)) return complain(field, "must be a whole number"), 0;
  const int64_t number = value.number();
  if (number >= low && number <= high) return number;
  return complain(field, "must be from " + std::to_string(low) + " to " + std::to_string(high) + ", is " +
                             std::to_string(number)),
         0;
}

int32_t ObjectReader::index(Object value, const std::string& field, size_t size, std::string_view of) {
  if (!value.is(Kind::kInteger)) return complain(field, "must be a whole number"), 0;
  const int64_t number = value.number();
  if (number >= 0 && std::cmp_less(number, size)) return static_cast<int32_t>(number);
  return complain(field, "names " + std::string(of) + " " + std::to_string(number) + ", of which there are " +
                             std::to_string(size)),
         0;
}

bool ObjectReader::truth(Object value, const std::string& field) {
  if (!value.is(Kind::kBool)) complain(field, "must be true or false");
  return value.number() != 0;
}

std::string_view ObjectReader::text(Object value, const std::string& field, size_t most) {
  if (!value.is(Kind::kString)) return complain(field, "must be a text"), "";
  const std::string_view found = value.text();
  if (found.size() > most) complain(field, "is longer than " + std::to_string(most) + " bytes");
  if (std::any_of(found.begin(), found.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
    complain(field, "has control characters");
  return found;
}

size_t ObjectReader::one_of(Object value, const std::string& field, std::span<const std::string_view> known) {
  const std::string_view found = text(value, field);
  const auto place = std::find(known.begin(), known.end(), found);
  if (place == known.end()) complain(field, in_quotes(found) + " is not known", did_you_mean(found, known));
  return failed() ? 0 : static_cast<size_t>(place - known.begin());
}

void ObjectReader::check_members(Object object, const Names& known, const std::string& field) {
  if (!object.is(Kind::kDict)) return complain(field, "must be an object");
  for (size_t i = 0; i < object.members(); ++i) {
    const std::string_view name = object.key(i).text();
    if (name.starts_with("x-") || std::find(known.begin(), known.end(), name) != known.end()) continue;
    return complain(field + (field.empty() ? "" : ".") + std::string(name.substr(0, 60)), "is no member here",
                    did_you_mean(name, known));
  }
}

Object ObjectReader::list(Object object, std::string_view name, bool needed) {
  const Object found = object[name];
  if (found.is(Kind::kList) || (!needed && found.is_none())) return found;
  complain(name, found.is_none() ? "is missing" : "must be a list");
  return found;
}

bool ObjectReader::is_row(Object row, const std::string& field, size_t least, size_t most) {
  if (row.is(Kind::kList) && row.size() >= least && row.size() <= most) return !failed();
  const std::string count = std::to_string(least) + (most > least ? " to " + std::to_string(most) : "");
  complain(field, "must be a list of " + count);
  return false;
}

std::vector<std::string> ObjectReader::lines(Object object, std::string_view member) {
  std::vector<std::string> all;
  for_each(list(object, member, false), member,
           [&](Object line, const std::string& field) { all.emplace_back(text(line, field, 1000)); });
  return all;
}

std::string ObjectReader::optional_text(Object object, std::string_view member) {
  const Object found = object[member];
  return found.is_none() ? "" : std::string(text(found, std::string(member)));
}

}  // namespace peakmem
