#include "report/explain_text.h"

#include <cstdlib>

#include "report/text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr int64_t kNear = 50;  // a fiftieth of the message's allocated bytes: they differ by what kernels take inside

std::string said(const OutOfMemory& message) {
  std::string text = "Tried to allocate " + as_pytorch_prints(message.tried.bytes);
  if (message.allocated) text += ", with " + as_pytorch_prints(message.allocated->bytes) + " allocated";
  if (message.unallocated) text += " and " + as_pytorch_prints(message.unallocated->bytes) + " reserved beside it";
  if (message.capacity) text += ", on a GPU of " + as_pytorch_prints(message.capacity->bytes);
  return text;
}

/// "with 10.20 GiB allocated, 41.00 MiB more than the message says"
std::string allocated_text(const Match& match) {
  std::string text = "with " + in_binary_units(match.allocation.allocated_bytes) + " allocated";
  if (!match.difference_bytes) return text;
  const int64_t difference = *match.difference_bytes;
  if (difference == 0) return text + ", as the message says";
  return text + ", " + in_binary_units(std::abs(difference)) + (difference > 0 ? " more" : " less") +
         " than the message says";
}

void write_match(Page& page, const Match& match) {
  const std::string like = match.count > 1 ? " (" + grouped(match.count) + " alike)" : "";
  page.paragraph("  ", moment_text(match.allocation) + like);
  page.paragraph("    ", allocated_text(match));
}

void write_matches(Page& page, const Explanation& explanation, const OutOfMemory& message) {
  page.heading(explanation.matches.empty() ? "No allocation of this run has that size; the nearest"
                                           : "Which allocation it is, the likeliest first");
  for (const Match& match : explanation.matches) write_match(page, match);
  for (const Match& match : explanation.nearest) {
    page.paragraph("  ", "PyTorch would say " + as_pytorch_prints(match.allocation.tried_bytes) + ":");
    write_match(page, match);
  }
  if (explanation.matches.empty() || !message.allocated) return;
  const int64_t off = std::abs(explanation.matches[0].difference_bytes.value_or(0));
  if (off > message.allocated->bytes / kNear)
    page.paragraph("  ",
                   "What is allocated then differs by more than 2 %: the run holds something else than what was asked "
                   "about here, or is another one.");
}

void write_fragmentation(Page& page, const OutOfMemory& message) {
  if (!message.unallocated || message.unallocated->bytes < message.tried.bytes) return;
  page.paragraph("  ",
                 "As much as was asked for was reserved but not allocated, in pieces: "
                 "PYTORCH_ALLOC_CONF=expandable_segments:True would have joined them.");
}

void write_remedies(Page& page, const Explanation& explanation) {
  if (!explanation.fits) return;
  page.heading("What would let it pass on " + in_binary_units(explanation.fits->capacity_bytes) +
               "; as it is: " + explanation.fits->verdict);
  for (const Remedy& remedy : explanation.remedies)
    page.line("  " + left(remedy.change, 48) + right(in_binary_units(remedy.device_bytes), 12) + "  " +
              (remedy.verdict == "does not fit" ? page.bad(remedy.verdict) : page.good(remedy.verdict)));
}

void write_notes(Page& page, const char* title, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  page.heading(title);
  for (const std::string& line : lines) page.paragraph("  ", line);
}

}  // namespace

std::string explain_text(const Explanation& explanation, const OutOfMemory& message, const Request& request,
                         const Style& style) {
  Page page(style);
  page.line(page.strong(request.name) + " · " + recipe_line(request.job));
  page.line(said(message));
  write_matches(page, explanation, message);
  write_fragmentation(page, message);
  write_remedies(page, explanation);
  write_notes(page, "Taken for granted", request.assumptions);
  write_notes(page, "Warnings", request.warnings);
  return std::move(page).text();
}

}  // namespace peakmem
