// PYTORCH_ALLOC_CONF (c10/core/AllocatorConfig.cpp, torch 2.13).
#include <array>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <string>

#include "device/allocator.h"
#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {
namespace {

/// A key, how its value is read (false where it is none), and what its values are.
struct Key {
  std::string_view name;
  bool (*read)(std::string_view text, AllocatorOptions& options);
  const char* must;
};

bool read_whole(std::string_view text, int64_t& number) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  return problem == std::errc() && end == text.data() + text.size();
}

bool read_expandable(std::string_view text, AllocatorOptions& options) {
  options.expandable_segments = text == "True";
  return text == "True" || text == "False";
}

bool read_max_split(std::string_view text, AllocatorOptions& options) {
  int64_t mib = 0;
  if (!read_whole(text, mib) || mib <= 20 || mib > (int64_t{1} << 40)) return false;
  options.max_split_size = mib << 20;
  return true;
}

bool read_divisions(std::string_view text, AllocatorOptions& options) {
  int64_t& divisions = options.roundup_power2_divisions;
  return read_whole(text, divisions) && divisions > 0 && divisions <= (1 << 20) &&
         std::has_single_bit(static_cast<uint64_t>(divisions));
}

bool read_threshold(std::string_view text, AllocatorOptions& options) {
  const std::string number(text);
  if (number.empty() || number.find_first_not_of("0123456789.") != std::string::npos) return false;
  char* end = nullptr;
  options.garbage_collection_threshold = std::strtod(number.c_str(), &end);
  return end == number.c_str() + number.size() && options.garbage_collection_threshold > 0 &&
         options.garbage_collection_threshold < 1;
}

constexpr std::array kKeys = std::to_array<Key>({
    {"expandable_segments", read_expandable, "must be True or False"},
    {"max_split_size_mb", read_max_split, "must be a whole number above 20"},
    {"roundup_power2_divisions", read_divisions, "must be a power of two (a list by size is not supported)"},
    {"garbage_collection_threshold", read_threshold, "must be between 0 and 1"},
});

std::optional<Error> read_pair(std::string_view pair, std::string_view field, AllocatorOptions& options) {
  const size_t colon = pair.find(':');
  const std::string_view name = pair.substr(0, colon);
  std::array<std::string_view, kKeys.size()> known;
  for (size_t i = 0; i < kKeys.size(); ++i) {
    known[i] = kKeys[i].name;
    if (kKeys[i].name != name) continue;
    const bool good = colon != std::string_view::npos && kKeys[i].read(pair.substr(colon + 1), options);
    return good ? std::nullopt
                : std::optional(Error{std::string(field),
                                      std::string(name) + " " + kKeys[i].must + ", in " + in_quotes(pair),
                                      "such as expandable_segments:True,max_split_size_mb:128"});
  }
  return Error{std::string(field), in_quotes(name) + " is not known", did_you_mean(name, known)};
}

}  // namespace

Result<AllocatorOptions> parse_alloc_conf(std::string_view text, std::string_view field) {
  AllocatorOptions options;
  for (std::string_view rest = text;;) {
    const size_t comma = rest.find(',');
    if (auto wrong = read_pair(rest.substr(0, comma), field, options)) return *wrong;
    if (comma == std::string_view::npos) return options;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace peakmem
