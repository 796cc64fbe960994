#include "report/plan_text.h"
#include "report/report_json.h"
#include "report/time_text.h"

namespace peakmem {
namespace {

constexpr int64_t kVersion = 1;

void write_row(JsonWriter& out, const PlanRow& row) {
  out.begin_object();
  out.member("id", row.id);
  write_lines(out, "choices", row.choices);
  out.member("command", row.command);
  out.member("allocated_bytes", row.allocated_bytes);
  out.member("device_bytes", row.device.likely);
  out.member("device_low_bytes", row.device.low);
  out.member("device_high_bytes", row.device.high);
  out.member("verdict", row.verdict.verdict);
  write_about(out, "seconds", row.time.seconds);
  write_about(out, "tokens_per_second", row.time.tokens_per_second);
  write_about(out, "mfu", row.time.mfu);
  out.end_object();
}

void write_rows(JsonWriter& out, std::string_view name, const std::vector<PlanRow>& rows) {
  out.key(name);
  out.begin_list();
  for (const PlanRow& row : rows) write_row(out, row);
  out.end_list();
}

void write_optional(JsonWriter& out, std::string_view name, const std::optional<PlanRow>& row) {
  out.key(name);
  if (row)
    write_row(out, *row);
  else
    out.null();
}

void write_space(JsonWriter& out, const PlanSpace& space) {
  out.member("size", space.size());
  out.key("axes");
  out.begin_list();
  for (const PlanAxis& axis : space.axes) {
    out.begin_object();
    out.member("name", axis.name);
    write_lines(out, "choices", axis.choices);
    out.end_object();
  }
  out.end_list();
}

void write_counts(JsonWriter& out, const PlanCounts& counts) {
  out.member("legal", counts.legal);
  out.member("may_fit", counts.may_fit);
  out.member("replayed", counts.replayed);
  out.key("rules");
  out.begin_list();
  for (const auto& [rule, count] : counts.rules) {
    out.begin_object();
    out.member("rule", rule);
    out.member("plans", count);
    out.end_object();
  }
  out.end_list();
}

}  // namespace

std::string plans_json(const Plans& plans) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", kSchema);
  out.member("model", plans.model);
  out.key("plan");
  out.begin_object();
  out.member("version", kVersion);
  out.member("gpu", plans.gpu);
  out.member("cards", plans.cards);
  out.member("global_batch", plans.global_batch);
  out.member("capacity_bytes", plans.capacity_bytes);
  out.member("bound", plans.bound);
  write_space(out, plans.space);
  write_counts(out, plans.counts);
  write_rows(out, "plans", plans.top);
  write_rows(out, "front", plans.front);
  write_optional(out, "nearest", plans.nearest);
  out.end_object();
  write_lines(out, "assumptions", plans.assumptions);
  out.end_object();
  return std::move(out).text();
}

std::string reason_json(const PlanReason& reason, int64_t id, const std::string& model) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", kSchema);
  out.member("model", model);
  out.key("why");
  out.begin_object();
  out.member("id", id);
  out.member("rule", reason.rule ? reason.rule->field + " " + reason.rule->problem : std::string());
  write_optional(out, "plan", reason.plan);
  write_rows(out, "better", reason.better);
  out.end_object();
  out.end_object();
  return std::move(out).text();
}

}  // namespace peakmem
