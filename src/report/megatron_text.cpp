#include "report/megatron_text.h"

#include <algorithm>

#include "io/json_writer.h"
#include "report/text.h"
#include "size/bytes.h"
#include "trace/program.h"

namespace peakmem {
namespace {

constexpr size_t kBytes = 13;
constexpr size_t kRows = 14;
constexpr int64_t kHighest = 2;  // the steady step

std::string_view name_of(Category category) { return kCategoryNames[static_cast<size_t>(category)]; }

std::string degrees_text(const mcore::Degrees& d) {
  return "tensor " + std::to_string(d.tp) + (d.sequence_parallel ? " with sequences" : "") + " · pipeline " +
         std::to_string(d.pp) + " · data " + std::to_string(d.dp) + ": " + grouped(d.ranks()) +
         (d.ranks() == 1 ? " rank" : " ranks");
}

std::string training_text(const mcore::Training& t) {
  std::string text = "micro-batch " + grouped(t.micro_batch) + " × seq " + grouped(t.seq);
  if (t.micro_batches > 1) text += " × " + grouped(t.micro_batches) + " micro-batches";
  text += std::string(" · ") + (t.precision == DType::kBFloat16  ? "bf16"
                                : t.precision == DType::kFloat16 ? "fp16"
                                                                 : "fp32");
  if (t.distributed_optimizer) text += " · distributed optimizer";
  if (t.recompute == mcore::Recompute::kCoreAttention) text += " · recomputes core attention";
  if (t.recompute == mcore::Recompute::kUniform) text += " · recomputes layers";
  return text;
}

std::string parts_text(const RankClass& each) {
  return std::to_string(each.layers) + (each.layers == 1 ? " layer" : " layers") + (each.embeds ? ", embedding" : "") +
         (each.heads ? ", head" : "");
}

/// Why this rank holds more than others: what is in flight, and what it has that others have not.
std::string reason(const RankClass& worst, const mcore::Job& job) {
  const int64_t flying = std::min(job.degrees.pp - worst.stage, job.training.micro_batches);
  std::string text = std::to_string(flying) + (flying == 1 ? " micro-batch" : " micro-batches") + " in flight";
  if (worst.embeds) text += ", the embedding";
  if (worst.heads) text += ", the head and its logits";
  return text;
}

void write_classes(Page& page, const MegatronReport& report) {
  page.heading("Ranks, the fullest first");
  page.line("  " + left("stage", 7) + left("ranks", 18) + right("parameters", 16) + right("tensors", kBytes) +
            "  holds");
  for (const RankClass& each : report.classes) {
    const std::string ranks = grouped(each.ranks) + " (" + grouped(each.rank) + (each.ranks > 1 ? ", …)" : ")");
    page.line("  " + left(std::to_string(each.stage), 7) + left(ranks, 18) + right(grouped(each.parameters), 16) +
              right(in_binary_units(each.tensor_bytes), kBytes) + "  " + parts_text(each));
  }
}

void write_live(Page& page, const MegatronReport& report) {
  page.heading("What lives then on rank " + grouped(report.shown.rank));
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
void write_phases(Page& page, const MegatronReport& report) {
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
  out.member("rank", each.rank);
  out.member("ranks", each.ranks);
  out.member("stage", each.stage);
  out.member("layers", each.layers);
  out.member("embedding", each.embeds);
  out.member("head", each.heads);
  out.member("parameters", each.parameters);
  out.member("first_step_bytes", each.first_step_bytes);
  out.member("tensor_bytes", each.tensor_bytes);
  out.member("block_bytes", each.block_bytes);
  out.member("phase", each.phase);
  out.end_object();
}

}  // namespace

std::string megatron_text(const MegatronReport& report, const MegatronInquiry& inquiry, const Style& style) {
  Page page(style);
  const mcore::Job& job = inquiry.job;
  page.line(page.strong(inquiry.name) + " on Megatron-Core · " + degrees_text(job.degrees));
  page.line(training_text(job.training));
  page.line();
  const RankClass& worst = report.classes.front();
  page.line(page.strong("Peak: " + in_binary_units(worst.tensor_bytes)) + " of tensors, on rank " +
            grouped(worst.rank) + " (stage " + std::to_string(worst.stage) + "), in the " + worst.phase + " of step 2");
  page.line("  " + reason(worst, job));
  if (report.shown.rank != worst.rank)
    page.line("  rank " + grouped(report.shown.rank) + ": " + in_binary_units(report.shown.tensor_bytes) + ", in the " +
              report.shown.phase);
  page.line("  exact: the storages that live at that moment; in the allocator's blocks " +
            in_binary_units(worst.block_bytes));
  write_classes(page, report);
  write_live(page, report);
  write_phases(page, report);
  page.heading("Taken for granted");
  std::string assumptions;
  for (const std::string& line : inquiry.assumptions) assumptions += (assumptions.empty() ? "" : " · ") + line;
  page.paragraph("  ", assumptions);
  return std::move(page).text();
}

std::string megatron_json(const MegatronReport& report, const MegatronInquiry& inquiry) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", "peakmem/1");
  out.member("stack", "megatron");
  out.member("model", inquiry.name);
  out.member("tensor_bytes", report.classes.front().tensor_bytes);
  out.member("worst_rank", report.classes.front().rank);
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
  for (const std::string& line : inquiry.assumptions) out.value(line);
  out.end_list();
  out.end_object();
  return std::move(out).text();
}

}  // namespace peakmem
