#include "report/rank_text.h"

#include <algorithm>

#include "report/text.h"
#include "size/bytes.h"
#include "trace/program.h"

namespace peakmem {
namespace {

constexpr size_t kBytes = 13;
constexpr size_t kRows = 14;
constexpr int64_t kHighest = 2;  // the steady step

std::string_view name_of(Category category) { return kCategoryNames[static_cast<size_t>(category)]; }

std::string parts_text(const RankPlace& each) {
  return std::to_string(each.layers) + (each.layers == 1 ? " layer" : " layers") + (each.embeds ? ", embedding" : "") +
         (each.heads ? ", head" : "");
}

void write_classes(Page& page, const RankReport& report) {
  page.heading("Ranks, the fullest first");
  page.line("  " + left("stage", 7) + left("ranks", 18) + right("parameters", 16) + right("tensors", kBytes) +
            "  holds");
  for (const RankClass& each : report.classes) {
    const std::string ranks =
        grouped(each.place.ranks) + " (" + grouped(each.place.rank) + (each.place.ranks > 1 ? ", …)" : ")");
    page.line("  " + left(std::to_string(each.place.stage), 7) + left(ranks, 18) + right(grouped(each.parameters), 16) +
              right(in_binary_units(each.tensor_bytes), kBytes) + "  " + parts_text(each.place));
  }
}

/// What the card of the rank that reserves most must hold.
void write_card(Page& page, const RankReport& report) {
  if (!report.card) return;
  const CardMemory& card = *report.card;
  const Verdict& fits = card.fits;
  const int64_t left_over = fits.capacity_bytes - card.device.likely;
  const std::string text = fits.gpu + ": " + fits.verdict + ", rank " + grouped(card.rank);
  page.heading(fits.fits ? page.good(text) : page.bad(text));
  page.line("  " + in_binary_units(card.device.likely) + " on the device of " + in_binary_units(fits.capacity_bytes) +
            ", " + in_binary_units(left_over < 0 ? -left_over : left_over) +
            (left_over < 0 ? " too much" : " to spare"));
  if (fits.headroom_bytes > 0) page.line("  " + in_binary_units(fits.headroom_bytes) + " are to stay free");
  page.line("  allocated " + in_binary_units(report.shown.allocated_bytes) + ", reserved " +
            in_binary_units(report.shown.reserved_bytes) + " on rank " + grouped(report.shown.place.rank) +
            ": torch.cuda.max_memory_allocated and _reserved");
}

void write_live(Page& page, const RankReport& report) {
  page.heading("What lives then on rank " + grouped(report.shown.place.rank));
  for (size_t i = 0; i < report.live.size() && i < kRows; ++i) {
    const LivePlace& each = report.live[i];
    const double share = static_cast<double>(each.bytes) / static_cast<double>(report.shown.tensor_bytes);
    page.line("  " + left(name_of(each.category), 12) + left(page.fitted(each.place, 36), 36) + " ×" +
              left(grouped(each.count), 5) + right(in_binary_units(each.bytes), kBytes) + right(percent(share), 8));
  }
  if (report.live.size() <= kRows) return;
  int64_t rest = 0;
  for (size_t i = kRows; i < report.live.size(); ++i) rest += report.live[i].bytes;
  page.line("  and " + std::to_string(report.live.size() - kRows) + " more, " + in_binary_units(rest));
}

/// The highest of every phase of the steady step, micro-batches together.
void write_phases(Page& page, const RankReport& report) {
  page.heading("Phases of a steady step, tensors at their highest");
  std::vector<std::pair<std::string, int64_t>> phases;
  for (const PhaseReport& phase : report.phases) {
    if (phase.step != kHighest) continue;
    auto found = std::find_if(phases.begin(), phases.end(), [&](const auto& p) { return p.first == phase.phase; });
    if (found == phases.end()) found = phases.insert(phases.end(), {phase.phase, 0});
    found->second = std::max(found->second, phase.peak_bytes);
  }
  for (const auto& [name, bytes] : phases) page.line("  " + left(name, 20) + right(in_binary_units(bytes), kBytes));
}

void write_class(JsonWriter& out, const RankClass& each) {
  out.begin_object();
  out.member("rank", each.place.rank);
  out.member("ranks", each.place.ranks);
  out.member("stage", each.place.stage);
  out.member("layers", each.place.layers);
  out.member("embedding", each.place.embeds);
  out.member("head", each.place.heads);
  out.member("parameters", each.parameters);
  out.member("first_step_bytes", each.first_step_bytes);
  out.member("tensor_bytes", each.tensor_bytes);
  out.member("block_bytes", each.block_bytes);
  if (each.allocated_bytes > 0) {
    out.member("allocated_bytes", each.allocated_bytes);
    out.member("reserved_bytes", each.reserved_bytes);
  }
  out.member("phase", each.phase);
  out.end_object();
}

void write_range(JsonWriter& out, const char* name, const Range& range) {
  out.key(name);
  out.begin_object();
  out.member("low", range.low);
  out.member("likely", range.likely);
  out.member("high", range.high);
  out.member("why", range.why);
  out.end_object();
}

void write_card(JsonWriter& out, const CardMemory& card) {
  out.key("card");
  out.begin_object();
  out.member("rank", card.rank);
  write_range(out, "reserved_range", card.reserved);
  write_range(out, "device_range", card.device);
  out.member("gpu", card.fits.gpu);
  out.member("capacity_bytes", card.fits.capacity_bytes);
  out.member("fits", card.fits.fits);
  out.member("verdict", card.fits.verdict);
  out.end_object();
}

}  // namespace

void write_peak(Page& page, const RankReport& report, const std::string& reason) {
  const RankClass& worst = report.classes.front();
  page.line(page.strong("Peak: " + in_binary_units(worst.tensor_bytes)) + " of tensors, on rank " +
            grouped(worst.place.rank) + " (stage " + std::to_string(worst.place.stage) + "), in the " + worst.phase +
            " of step 2");
  page.line("  " + reason);
  if (report.shown.place.rank != worst.place.rank)
    page.line("  rank " + grouped(report.shown.place.rank) + ": " + in_binary_units(report.shown.tensor_bytes) +
              ", in the " + report.shown.phase);
  page.line("  exact: the storages that live at that moment; in the allocator's blocks " +
            in_binary_units(worst.block_bytes));
}

void write_ranks(Page& page, const RankReport& report, const std::vector<std::string>& assumptions) {
  write_card(page, report);
  write_classes(page, report);
  write_live(page, report);
  write_phases(page, report);
  page.heading("Taken for granted");
  std::string lines;
  for (const std::string& line : assumptions) lines += (lines.empty() ? "" : " · ") + line;
  page.paragraph("  ", lines);
}

void write_ranks(JsonWriter& out, const RankReport& report, const std::vector<std::string>& assumptions) {
  out.member("tensor_bytes", report.classes.front().tensor_bytes);
  out.member("worst_rank", report.classes.front().place.rank);
  if (report.card) write_card(out, *report.card);
  out.key("ranks");
  out.begin_list();
  for (const RankClass& each : report.classes) write_class(out, each);
  out.end_list();
  out.key("shown");
  write_class(out, report.shown);
  out.key("ledger");
  out.begin_list();
  for (const LivePlace& each : report.live) {
    out.begin_object();
    out.member("category", name_of(each.category));
    out.member("place", each.place);
    out.member("bytes", each.bytes);
    out.member("count", each.count);
    out.end_object();
  }
  out.end_list();
  out.key("phases");
  out.begin_list();
  for (const PhaseReport& phase : report.phases) {
    out.begin_object();
    out.member("step", int64_t{phase.step});
    out.member("micro", int64_t{phase.micro});
    out.member("phase", phase.phase);
    out.member("start_bytes", phase.start_bytes);
    out.member("peak_bytes", phase.peak_bytes);
    out.member("end_bytes", phase.end_bytes);
    out.end_object();
  }
  out.end_list();
  out.key("assumptions");
  out.begin_list();
  for (const std::string& line : assumptions) out.value(line);
  out.end_list();
}

}  // namespace peakmem
