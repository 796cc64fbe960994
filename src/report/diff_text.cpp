#include "report/diff_text.h"

#include <algorithm>

#include "report/text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr size_t kSize = 16;   // of a column of bytes
constexpr size_t kCount = 10;  // of a column of counts
constexpr size_t kNames = 6;   // groups that are named in a row that differs, of each side

std::string with_sign(int64_t difference) { return (difference > 0 ? "+" : "") + grouped(difference); }

void write_sum(Page& page, const DiffSum& sum) {
  const size_t names = page.width() - 3 * kSize;
  page.line(left("  " + page.fitted(sum.name, names - 3), names) + right(grouped(sum.theirs), kSize) +
            right(grouped(sum.ours), kSize) + right(with_sign(sum.difference()), kSize));
}

void write_sums(Page& page, std::string_view title, const std::vector<DiffSum>& sums) {
  if (sums.empty()) return;
  const size_t names = page.width() - 3 * kSize;
  page.line();
  page.line(page.strong(left(title, names)) + right("measured", kSize) + right("ours", kSize) +
            right("difference", kSize));
  for (const DiffSum& sum : sums) write_sum(page, sum);
}

void write_peaks(Page& page, const Diff& diff) {
  const LiveSet& theirs = diff.theirs.live;
  const LiveSet& ours = diff.ours.live;
  const std::string title = "Peak of step " + std::to_string(ours.step);
  std::vector<DiffSum> sums = {{"bytes live", theirs.bytes, ours.bytes}};
  if (theirs.earlier_bytes > 0) sums.push_back(diff.earlier);
  write_sums(page, title, sums);
  const std::string where =
      theirs.phase.empty() ? "where it lies a snapshot does not say" : "measured in " + theirs.phase;
  page.line("  " + where + ", ours in " + ours.phase);
  if (!theirs.phase.empty() && theirs.phase != ours.phase)
    page.paragraph("  ",
                   "The peaks lie in different phases, so the sizes below differ for that reason alone: a trace "
                   "(oracle/README.md) and --phase " +
                       theirs.phase + " compare the same moment.");
}

void write_groups(Page& page, std::string_view side, const std::vector<LiveGroup>& groups) {
  for (size_t i = 0; i < groups.size(); ++i) {
    const bool rest = i + 1 == kNames && groups.size() > kNames;
    const std::string name = rest ? "and " + std::to_string(groups.size() - i) + " kinds more"
                                  : (groups[i].count > 1 ? std::to_string(groups[i].count) + " × " : "") +
                                        (groups[i].name.empty() ? "without a name" : groups[i].name);
    page.line(page.faint(left(i == 0 ? "      " + std::string(side) : "", kSize + 2) +
                         page.fitted(name, page.width() - kSize - 2)));
    if (rest) return;
  }
}

std::string columns_of(std::string_view bytes, std::string_view theirs, std::string_view ours,
                       std::string_view difference) {
  return right(bytes, kSize) + right(theirs, kCount) + right(ours, kCount) + right(difference, kSize) + "  ";
}

/// The name of most storages of a size, as measured if that has names.
std::string first_name(const DiffRow& row) {
  const bool theirs = !row.their_groups.empty() && !row.their_groups[0].name.empty();
  const std::vector<LiveGroup>& groups = theirs ? row.their_groups : row.our_groups;
  return groups.empty() ? "" : groups[0].name + (groups.size() > 1 ? ", …" : "");
}

void write_row(Page& page, const DiffRow& row) {
  const std::string numbers =
      columns_of(grouped(row.bytes), grouped(row.theirs), grouped(row.ours), with_sign(row.difference()));
  if (row.difference() == 0) return page.line(numbers + page.fitted(first_name(row), page.width() - columns(numbers)));
  page.line(numbers + (row.ours == 0 ? "measured only" : row.theirs == 0 ? "ours only" : ""));
  write_groups(page, "measured", row.their_groups);
  write_groups(page, "ours", row.our_groups);
}

void write_rows(Page& page, const std::vector<DiffRow>& rows, size_t most) {
  page.line(columns_of("bytes each", "measured", "ours", "difference"));
  for (size_t i = 0; i < std::min(most, rows.size()); ++i) write_row(page, rows[i]);
  if (rows.size() <= most) return;
  const auto differ = std::count_if(rows.begin() + static_cast<ptrdiff_t>(most), rows.end(),
                                    [](const DiffRow& row) { return row.difference() != 0; });
  page.line(page.faint("  and " + std::to_string(rows.size() - most) + " more sizes, of which " +
                       (differ == 0 ? "none differs" : std::to_string(differ) + " differ") + ": --list N shows more"));
}

void write_sizes(Page& page, const Diff& diff, size_t most) {
  const auto differ =
      std::count_if(diff.rows.begin(), diff.rows.end(), [](const DiffRow& row) { return row.difference() != 0; });
  page.heading("By size: " + std::to_string(diff.rows.size()) + " sizes, " +
               (differ == 0 ? "none differs" : std::to_string(differ) + " of which differ" + (differ == 1 ? "s" : "")));
  write_rows(page, diff.rows, most);
}

void write_unlisted(Page& page, const Diff& diff, size_t most) {
  if (diff.unlisted.theirs == 0 && diff.unlisted.ours == 0) return;
  write_sums(page, "Not listed by the record", {diff.unlisted});
  if (diff.unlisted.difference() == 0) return;
  page.line("  ours among it:");
  write_rows(page, diff.unlisted_rows, most);
}

}  // namespace

std::string diff_text(const Diff& diff, const Measurement& measurement, const DiffQuestion& question,
                      const Style& style) {
  Page page(style);
  page.line(page.strong(question.name) + " · a " + measurement.format + " · " + question.model);
  page.line(recipe_line(question.job));
  write_peaks(page, diff);
  write_sums(page, "By category, at the peak", diff.categories);
  write_sums(page, "Peaks of the phases", diff.phases);
  write_sizes(page, diff, question.rows);
  write_unlisted(page, diff, question.rows);
  if (!measurement.notes.empty()) page.heading("Notes");
  for (const std::string& note : measurement.notes) page.paragraph("  ", note);
  return std::move(page).text();
}

}  // namespace peakmem
