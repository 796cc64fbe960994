#include "report/megatron_text.h"

#include <algorithm>

#include "megatron/interleaved.h"
#include "report/rank_text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

std::string degrees_text(const mcore::Degrees& d) {
  return "tensor " + std::to_string(d.tp) + (d.sequence_parallel ? " with sequences" : "") +
         (d.cp > 1 ? " · context " + std::to_string(d.cp) : "") + " · pipeline " + std::to_string(d.pp) +
         (d.vpp > 1 ? " × " + std::to_string(d.vpp) + " chunks" : "") + " · data " + std::to_string(d.dp) + ": " +
         grouped(d.ranks()) + (d.ranks() == 1 ? " rank" : " ranks");
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

/// Why this rank holds more than others: what is in flight, and what it has that others have not.
std::string reason(const RankPlace& worst, const mcore::Job& job) {
  const mcore::Degrees& d = job.degrees;
  const int64_t turns = d.vpp > 1 ? mcore::warmup_turns(job, worst.stage) + 1 : d.pp - worst.stage;
  const int64_t flying = std::min(turns, job.training.micro_batches * d.vpp);
  std::string text = grouped(flying) + (flying == 1 ? " micro-batch" : " micro-batches");
  text += d.vpp > 1 ? " of its chunks in flight" : " in flight";
  if (worst.embeds) text += ", the embedding";
  if (worst.heads) text += ", the head and its logits";
  return text;
}

}  // namespace

std::string megatron_text(const RankReport& report, const MegatronRequest& request, const Style& style) {
  Page page(style);
  const mcore::Job& job = request.job;
  page.line(page.strong(request.name) + " on Megatron-Core · " + degrees_text(job.degrees));
  page.line(training_text(job.training));
  page.line();
  write_peak(page, report, reason(report.classes.front().place, job));
  write_ranks(page, report, request.assumptions);
  return std::move(page).text();
}

std::string megatron_json(const RankReport& report, const MegatronRequest& request) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", "peakmem/1");
  out.member("stack", "megatron");
  out.member("model", request.name);
  write_ranks(out, report, request.assumptions);
  out.end_object();
  return std::move(out).text();
}

}  // namespace peakmem
