#include "estimate/diff.h"

#include <algorithm>
#include <cstdlib>
#include <map>

namespace peakmem {
namespace {

void order(std::vector<LiveGroup>& groups) {
  std::stable_sort(groups.begin(), groups.end(),
                   [](const LiveGroup& a, const LiveGroup& b) { return a.count > b.count; });
}

bool larger(const DiffRow& a, const DiffRow& b) {
  const int64_t difference_a = std::abs(a.difference());
  const int64_t difference_b = std::abs(b.difference());
  if (difference_a != difference_b) return difference_a > difference_b;
  return std::max(a.theirs, a.ours) * a.bytes > std::max(b.theirs, b.ours) * b.bytes;
}

std::vector<DiffRow> match(const LiveSet& theirs, const LiveSet& ours) {
  std::map<int64_t, DiffRow> rows;
  for (const LiveGroup& group : theirs.groups) {
    DiffRow& row = rows[group.bytes];
    row.theirs += group.count;
    row.their_groups.push_back(group);
  }
  for (const LiveGroup& group : ours.groups) {
    DiffRow& row = rows[group.bytes];
    row.ours += group.count;
    row.our_groups.push_back(group);
  }
  std::vector<DiffRow> all;
  for (auto& [bytes, row] : rows) {
    row.bytes = bytes;
    order(row.their_groups);
    order(row.our_groups);
    all.push_back(std::move(row));
  }
  return all;
}

/// The bytes of the smallest group that is listed: none that is not listed has more.
int64_t smallest(const LiveSet& live) {
  int64_t least = INT64_MAX;
  for (const LiveGroup& group : live.groups) least = std::min(least, group.bytes * group.count);
  return least;
}

/// Takes out of the rows what of ours may be among what the measurement does not list.
void set_apart_unlisted(Diff& result) {
  result.unlisted = {"not listed", result.theirs.live.unlisted_bytes(), 0};
  if (result.unlisted.theirs == 0) return;
  const int64_t most = smallest(result.theirs.live);
  for (DiffRow& row : result.rows) {
    if (row.ours <= row.theirs || row.bytes > most) continue;
    DiffRow& apart = result.unlisted_rows.emplace_back(row);
    apart.theirs = 0;
    apart.ours = row.ours - row.theirs;
    result.unlisted.ours += apart.ours * apart.bytes;
    row.ours = row.theirs;
  }
  std::erase_if(result.rows, [](const DiffRow& row) { return row.theirs == 0 && row.ours == 0; });
}

std::vector<DiffSum> match_categories(const LiveSet& theirs, const LiveSet& ours) {
  std::vector<DiffSum> sums;
  if (theirs.categories.empty()) return sums;
  std::map<std::string, DiffSum> by_name;
  for (const auto& [name, bytes] : theirs.categories) by_name[name].theirs = bytes;
  for (const auto& [name, bytes] : ours.categories) by_name[name].ours = bytes;
  for (auto& [name, sum] : by_name) sums.push_back({name, sum.theirs, sum.ours});
  return sums;
}

/// Ours of the same step and name; a micro-batch that was traced stands for those that follow it up to the next.
const PhaseReport* counterpart(const PhaseReport& phase, const std::vector<PhaseReport>& ours) {
  const PhaseReport* last = nullptr;
  for (const PhaseReport& each : ours)
    if (each.step == phase.step && each.phase == phase.phase && each.micro <= phase.micro) last = &each;
  return last;
}

std::vector<DiffSum> match_phases(const LivePeak& theirs, const LivePeak& ours) {
  std::vector<DiffSum> sums;
  for (const PhaseReport& phase : theirs.phases) {
    const PhaseReport* mine = counterpart(phase, ours.phases);
    if (mine == nullptr || phase.phase == "model") continue;
    const std::string micro = phase.micro > 0 ? ", micro-batch " + std::to_string(phase.micro + 1) : "";
    sums.push_back(
        {phase.phase + " of step " + std::to_string(phase.step) + micro, phase.peak_bytes, mine->peak_bytes});
  }
  return sums;
}

}  // namespace

Diff diff(LivePeak theirs, LivePeak ours) {
  Diff result;
  result.theirs = std::move(theirs);
  result.ours = std::move(ours);
  result.rows = match(result.theirs.live, result.ours.live);
  set_apart_unlisted(result);
  std::stable_sort(result.rows.begin(), result.rows.end(), larger);
  std::stable_sort(result.unlisted_rows.begin(), result.unlisted_rows.end(), larger);
  result.earlier = {"made before the first step", result.theirs.live.earlier_bytes, result.ours.live.earlier_bytes};
  result.categories = match_categories(result.theirs.live, result.ours.live);
  result.phases = match_phases(result.theirs, result.ours);
  return result;
}

}  // namespace peakmem
