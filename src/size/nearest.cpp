#include "size/nearest.h"
#include "size/wording.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace peakmem {
namespace {

// A longer text is no slip of the hand; the bound keeps a hostile one from costing anything.
constexpr size_t kLongest = 128;

char plain(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  return c == '-' || c == ' ' ? '_' : c;
}

bool same(char a, char b) { return plain(a) == plain(b); }

}  // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
  // Rows of the table of distances between the beginnings of a and b: the one before last is for swaps.
  std::vector<size_t> before(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, last);
    std::swap(last, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::optional<std::string_view> nearest(std::string_view name, std::span<const std::string_view> known) {
  std::optional<std::string_view> best;
  size_t smallest = 0;
  if (name.size() > kLongest) return best;
  for (const std::string_view candidate : known) {
    const size_t distance = edit_distance(name, candidate);
    const size_t allowed = std::max<size_t>(1, std::max(name.size(), candidate.size()) / 3);
    const bool near = distance <= allowed && distance < std::max(name.size(), candidate.size());
    if (near && (!best || distance < smallest)) {
      best = candidate;
      smallest = distance;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view name, std::span<const std::string_view> known) {
  if (const auto best = nearest(name, known)) return "did you mean " + in_quotes(*best) + "?";
  return known.empty() ? "" : "known: " + list_of(known);
}

}  // namespace peakmem
