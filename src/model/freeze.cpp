#include "model/freeze.h"
#include "size/wording.h"

#include <algorithm>

namespace peakmem {
namespace {

constexpr size_t kNowhere = std::string_view::npos;

bool digit(char c) { return c >= '0' && c <= '9'; }

std::string_view digits_at(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() && digit(text[end])) ++end;
  return text.substr(at, end - at);
}

/// Numbers by their length, then their digits: they have no leading zeros and may be of any length.
bool at_most(std::string_view a, std::string_view b) { return a.size() != b.size() ? a.size() < b.size() : a <= b; }

bool ends_part(std::string_view text, size_t at) { return at == text.size() || text[at] == '.'; }

/// "0-11" between dots; `end` is where it ends.
struct Range {
  std::string_view low, high;
  size_t end = kNowhere;
};

Range range_at(std::string_view pattern, size_t at) {
  if (at > 0 && pattern[at - 1] != '.') return {};
  Range range;
  range.low = digits_at(pattern, at);
  const size_t dash = at + range.low.size();
  if (range.low.empty() || dash >= pattern.size() || pattern[dash] != '-') return {};
  range.high = digits_at(pattern, dash + 1);
  const size_t end = dash + 1 + range.high.size();
  if (!range.high.empty() && ends_part(pattern, end)) range.end = end;
  return range;
}

/// Where the class of characters that begins at `at` ends: past its bracket. A bracket right at its start is one of its
/// characters.
size_t class_end(std::string_view pattern, size_t at) {
  size_t first = at + 1;
  if (first < pattern.size() && pattern[first] == '!') ++first;
  const size_t bracket = pattern.find(']', first + 1);
  return bracket == kNowhere ? kNowhere : bracket + 1;
}

/// Whether `[...]` stands for the character.
bool in_class(std::string_view brackets, char c) {
  std::string_view inside = brackets.substr(1, brackets.size() - 2);
  const bool negated = inside.front() == '!';
  if (negated) inside.remove_prefix(1);
  bool found = false;
  for (size_t i = 0; i < inside.size(); ++i) {
    const bool range = i + 2 < inside.size() && inside[i + 1] == '-';
    found = found || (range ? inside[i] <= c && c <= inside[i + 2] : inside[i] == c);
    if (range) i += 2;
  }
  return found != negated;
}

/// One step through both: what stands at `p` of the pattern takes up what stands at `n` of the name.
bool step(std::string_view pattern, size_t& p, std::string_view name, size_t& n) {
  if (const Range range = range_at(pattern, p); range.end != kNowhere) {
    const std::string_view number = digits_at(name, n);
    const bool inside = !number.empty() && at_most(range.low, number) && at_most(number, range.high);
    p = range.end;
    n += number.size();
    return inside && ends_part(name, n);
  }
  const char c = name[n++];
  if (pattern[p] == '[') {
    const size_t end = class_end(pattern, p);
    const std::string_view brackets = pattern.substr(p, end - p);
    p = end;
    return in_class(brackets, c);
  }
  const char wanted = pattern[p++];
  return wanted == '?' || wanted == c;
}

}  // namespace

// A mismatch behind a star lets the star take one character more; stars before the last need never be tried again.
bool matches(std::string_view pattern, std::string_view name) {
  size_t p = 0;
  size_t n = 0;
  size_t behind_star = kNowhere;
  size_t star_takes_to = 0;
  while (n < name.size() || p < pattern.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      behind_star = ++p;
      star_takes_to = n;
      continue;
    }
    if (n < name.size() && p < pattern.size() && step(pattern, p, name, n)) continue;
    if (behind_star == kNowhere || star_takes_to >= name.size()) return false;
    p = behind_star;
    n = ++star_takes_to;
  }
  return true;
}

std::optional<Error> check_pattern(std::string_view pattern, std::string_view field) {
  const std::string shown = in_quotes(pattern);
  if (pattern.empty()) return Error{std::string(field), "has an empty pattern", "such as model.embed_tokens*"};
  for (size_t at = pattern.find('['); at != kNowhere; at = pattern.find('[', at)) {
    const size_t end = class_end(pattern, at);
    if (end == kNowhere) return Error{std::string(field), shown + " has a [ without its ]", {}};
    const Range range = range_at(pattern.substr(at + 1, end - at - 2), 0);
    if (range.end != kNowhere && range.low.size() + range.high.size() > 2)
      return Error{std::string(field), shown + " has characters in brackets, not numbers",
                   "numbers from " + std::string(range.low) + " to " + std::string(range.high) + " are " +
                       std::string(pattern.substr(at + 1, end - at - 2))};
    at = end;
  }
  return std::nullopt;
}

bool Freeze::covers(std::string_view name) const {
  return std::any_of(patterns.begin(), patterns.end(), [&](const auto& pattern) { return matches(pattern, name); });
}

}  // namespace peakmem
