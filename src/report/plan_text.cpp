#include "report/plan_text.h"

#include <cmath>

#include "report/time_text.h"
#include "size/bytes.h"
#include "size/order.h"

namespace peakmem {
namespace {

constexpr size_t kId = 7;
constexpr size_t kTime = 11;
constexpr size_t kTokens = 11;
constexpr size_t kMfu = 9;
constexpr size_t kBytes = 12;
constexpr size_t kRules = 8;

/// Without those that set nothing.
std::string choices_text(const PlanRow& row) {
  std::string text;
  for (const std::string& choice : row.choices)
    if (!choice.empty()) text += (text.empty() ? "" : " ") + choice;
  return text;
}

std::string whole_number(double number) { return grouped(std::llround(number)); }

void write_head(Page& page) {
  page.line(page.faint(right("id", kId) + right("step ~", kTime) + right("tokens/s ~", kTokens) + right("MFU ~", kMfu) +
                       right("allocated", kBytes) + right("device ~", kBytes) + "  verdict"));
}

void write_row(Page& page, const PlanRow& row) {
  const About& seconds = row.time.seconds;
  page.line(right(std::to_string(row.id), kId) + right(in_seconds(seconds.likely), kTime) +
            right(whole_number(row.time.tokens_per_second.likely), kTokens) +
            right(percent(row.time.mfu.likely), kMfu) + right(in_binary_units(row.allocated_bytes), kBytes) +
            right(in_binary_units(row.device.likely), kBytes) + "  " +
            (row.verdict.fits ? page.good(row.verdict.verdict) : page.bad(row.verdict.verdict)));
  page.paragraph(std::string(kId + 2, ' '), choices_text(row));
}

void write_rows(Page& page, const char* title, const std::vector<PlanRow>& rows) {
  if (rows.empty()) return;
  page.heading(title);
  write_head(page);
  for (const PlanRow& row : rows) write_row(page, row);
}

void write_rules(Page& page, const Plans& plans) {
  if (plans.counts.rules.empty()) return;
  std::vector<std::pair<std::string, int64_t>> rules(plans.counts.rules.begin(), plans.counts.rules.end());
  sort_by(rules, [](const auto& rule) { return -rule.second; });
  page.heading("Why others are none");
  for (size_t i = 0; i < std::min(kRules, rules.size()); ++i)
    page.paragraph(right(grouped(rules[i].second), kId) + "  ", rules[i].first);
}

void write_nearest(Page& page, const Plans& plans) {
  if (!plans.nearest) return;
  const int64_t lacks = plans.nearest->device.likely - plans.nearest->verdict.capacity_bytes;
  page.heading("None fits; this one lacks least, " + in_binary_units(lacks));
  write_head(page);
  write_row(page, *plans.nearest);
}

void write_axes(Page& page, const PlanSpace& space) {
  page.heading("What was chosen from");
  for (const PlanAxis& axis : space.axes) {
    std::string text;
    for (const std::string& choice : axis.choices)
      text += (text.empty() ? "" : " · ") + (choice.empty() ? std::string("as it is") : choice);
    page.paragraph("  " + left(axis.name, 16), text);
  }
}

}  // namespace

std::string plans_text(const Plans& plans, const Style& style) {
  Page page(style);
  const PlanCounts& counts = plans.counts;
  page.line(page.strong(plans.model) + " on " + std::to_string(plans.cards) + " × " + plans.gpu + ", " +
            grouped(plans.global_batch) + " sequences a step");
  if (!plans.bound.empty()) {
    page.line(page.bad("No plan fits: " + plans.bound));
    return std::move(page).text();
  }
  page.line(grouped(plans.space.size()) + " plans: " + grouped(counts.legal) + " are jobs, " + grouped(counts.may_fit) +
            " may fit by what they allocate; memory is the estimate's, time is an estimate");
  write_rows(page, "The quickest that fit", plans.top);
  write_rows(page, "None is both smaller and quicker than these", plans.front);
  write_nearest(page, plans);
  write_rules(page, plans);
  write_axes(page, plans.space);
  if (!plans.top.empty()) {
    page.heading("The first as a command");
    page.line("  " + plans.top[0].command);
  }
  if (plans.assumptions.empty()) return std::move(page).text();
  page.heading("Taken for granted");
  for (const std::string& line : plans.assumptions) page.paragraph("  ", line);
  return std::move(page).text();
}

std::string reason_text(const PlanReason& reason, int64_t id, const std::string& model, const Style& style) {
  Page page(style);
  const std::string name = "Plan " + std::to_string(id) + " of " + model;
  if (reason.rule) {
    page.line(page.bad(name + " is no job"));
    page.paragraph("  ", reason.rule->field + " " + reason.rule->problem);
    if (!reason.rule->hint.empty()) page.paragraph("  ", reason.rule->hint);
  } else if (reason.plan) {
    const PlanRow& plan = *reason.plan;
    const int64_t margin = plan.verdict.capacity_bytes - plan.device.likely;
    page.line(page.strong(name + ": " + plan.verdict.verdict) + ", " + in_binary_units(margin < 0 ? -margin : margin) +
              (margin < 0 ? " too much" : " to spare"));
    write_head(page);
    write_row(page, plan);
    page.line("  " + plan.command);
  }
  const bool lacks = !reason.plan || !reason.plan->verdict.fits;
  write_rows(page, lacks ? "With one other choice it fits" : "With one other choice it fits and is quicker",
             reason.better);
  if (reason.better.empty())
    page.line(lacks ? "  No single other choice makes it fit." : "  No single other choice that fits is quicker.");
  return std::move(page).text();
}

}  // namespace peakmem
