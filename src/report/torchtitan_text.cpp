#include "report/torchtitan_text.h"

#include <algorithm>

#include "report/rank_text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

std::string degrees_text(const titan::Degrees& d) {
  std::string text;
  if (d.pp > 1) text += "pipeline " + std::to_string(d.pp) + " · ";
  if (d.dp_replicate > 1) text += "copies " + std::to_string(d.dp_replicate) + " · ";
  if (d.dp_shard > 1) text += "shards " + std::to_string(d.dp_shard) + " · ";
  if (d.cp > 1) text += "context " + std::to_string(d.cp) + " · ";
  if (d.tp > 1) text += "tensor " + std::to_string(d.tp) + " · ";
  return text + grouped(d.ranks()) + (d.ranks() == 1 ? " rank" : " ranks");
}

std::string recompute_text(const titan::Training& t) {
  switch (t.recompute) {
    case titan::Recompute::kNone:
      return {};
    case titan::Recompute::kFull:
      return " · recomputes layers";
    case titan::Recompute::kLayers:
      return " · recomputes " +
             (t.every == 1 ? std::string("layers") : "one of " + std::to_string(t.every) + " layers");
    case titan::Recompute::kOps:
      return " · recomputes but what some ops made";
  }
  return {};
}

std::string training_text(const titan::Training& t) {
  std::string text = "batch " + grouped(t.batch) + " × seq " + grouped(t.seq);
  if (t.microbatches > 1) text += " in " + grouped(t.microbatches) + " micro-batches";
  text += t.dtype == DType::kFloat32 ? " · fp32, computed in bf16" : " · bf16";
  return text + recompute_text(t);
}

/// Why this rank holds more than others: what is in flight, and what it has that others have not.
std::string reason(const RankPlace& worst, const titan::Job& job) {
  const int64_t all = job.training.microbatches;
  const int64_t behind = job.degrees.pp - 1 - worst.stage;
  std::string text;
  if (job.stages_each() > 1) {
    const int64_t each = all / std::max<int64_t>(1, all / job.degrees.pp);
    text = grouped(std::min(2 * all, each + 2 * behind + 1)) +
           " passes of micro-batches through one of its two stages in flight";
  } else {
    const int64_t flying = job.training.schedule == titan::Schedule::k1F1B ? std::min(behind + 1, all) : all;
    text = grouped(flying) + (flying == 1 ? " micro-batch" : " micro-batches") + " in flight";
  }
  if (worst.embeds) text += ", the embedding";
  if (worst.heads) text += ", the head and its logits";
  return text;
}

}  // namespace

std::string torchtitan_text(const RankReport& report, const TorchtitanRequest& request, const Style& style) {
  Page page(style);
  page.line(page.strong(request.name) + " on torchtitan · " + degrees_text(request.job.degrees));
  page.line(training_text(request.job.training));
  page.line();
  write_peak(page, report, reason(report.classes.front().place, request.job));
  write_ranks(page, report, request.assumptions);
  return std::move(page).text();
}

std::string torchtitan_json(const RankReport& report, const TorchtitanRequest& request) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", "peakmem/1");
  out.member("stack", "torchtitan");
  out.member("model", request.name);
  write_ranks(out, report, request.assumptions);
  out.end_object();
  return std::move(out).text();
}

}  // namespace peakmem
