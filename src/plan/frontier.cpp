#include "plan/frontier.h"

#include <algorithm>

namespace peakmem {
namespace {

constexpr size_t kMostPoints = 24;

/// Where powers of two begin: lengths and widths are no small numbers.
int64_t first_value(const std::string& name) {
  constexpr std::array<std::string_view, 5> kLong = {"seq", "target-seq", "hidden", "ffn", "vocab"};
  return std::find(kLong.begin(), kLong.end(), name) == kLong.end() ? 1 : 128;
}

std::optional<Error> check(const std::array<std::string, 2>& names) {
  for (const std::string& name : names)
    if (name == "gpu" || name == "gpus" || name == "accumulate")
      return Error{"--for", name + " is asked for alone", "such as --for " + name};
  if (names[0] == names[1]) return Error{"--for", names[0] + " is named twice", "such as --for batch,seq"};
  if (names[1] == "fsdp") return Error{"--for", "the fewest ranks cannot stand second", "put fsdp first"};
  return std::nullopt;
}

}  // namespace

Result<Frontier> frontier(const NamedConfig* model, const OptionValues& values,
                          const std::array<std::string, 2>& names) {
  if (auto wrong = check(names)) return *wrong;
  Frontier found;
  found.names = names;
  std::optional<Error> why;
  for (int64_t first = first_value(names[0]); found.points.size() < kMostPoints; first *= 2) {
    OptionValues changed = values;
    changed.push_back({names[0], std::to_string(first)});
    Result<Sought> sought = read_sought(model, changed, names[1]);
    if (!sought) {
      why = sought.error();
      if (!found.points.empty() || first >= 1024) break;
      continue;
    }
    const Result<Solution> solution = solve_for(*sought, Effort::kLittle);
    if (!solution) return solution.error();
    if (found.capacity_bytes == 0) found.request = std::move(sought->request);
    found.capacity_bytes = solution->capacity_bytes;
    if (solution->value == 0) {
      if (names[0] == "fsdp" && first < 1024) continue;  // more ranks hold more
      break;
    }
    found.points.push_back({first, solution->value, solution->peak_bytes});
  }
  if (found.capacity_bytes == 0) return *why;
  return found;
}

}  // namespace peakmem
