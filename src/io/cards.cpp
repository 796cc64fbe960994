#include "io/cards.h"

#include <algorithm>

#include "estimate/device.h"
#include "estimate/estimate.h"
#include "estimate/nccl.h"
#include "estimate/reserved.h"
#include "io/gpu_choice.h"
#include "io/report_json.h"
#include "size/order.h"

namespace peakmem {
namespace {

OptionValues with_gpu(OptionValues values, const std::string& name) {
  values.push_back({"gpu", name});
  return values;
}

CardRow named_row(const std::string& name) {
  const Result<GpuChoice> choice = parse_gpu(name);
  CardRow row;
  row.gpu = name;
  row.title = choice ? std::string(choice->gpu->title) : name;
  return row;
}

/// Puts what `fill` makes of every card into a row; fails where no card is a question.
template <class Fill>
Result<Cards> each_card(const std::vector<std::string>& names, const std::string& sought, const Fill& fill) {
  Cards cards;
  cards.sought = sought;
  bool found = false;
  for (const std::string& name : names) {
    CardRow& row = cards.rows.emplace_back(named_row(name));
    Result<Inquiry> inquiry = fill(name, row);
    if (!inquiry) row.error = inquiry.error();
    if (!inquiry || found) continue;
    cards.inquiry = std::move(*inquiry);
    found = true;
  }
  if (!found) return *cards.rows[0].error;
  return cards;
}

/// The verdict as estimate() has it, without a ledger.
Result<Inquiry> fill_verdict(const NamedConfig* model, const OptionValues& values, Command command, CardRow& row) {
  Result<Inquiry> inquiry = make_inquiry(model, values, command);
  if (!inquiry) return inquiry;
  const Result<Levels> levels = peak_levels(inquiry->job, inquiry->gpu);
  if (!levels) return levels.error();
  const Range reserved =
      inquiry->allocator
          ? reserved_range(levels->allocated, replay_job(inquiry->job, inquiry->gpu, *inquiry->allocator))
          : reserved_range(levels->allocated);
  row.device = device_range(reserved, inquiry->gpu, levels->managed, nccl_bytes(inquiry->job.recipe));
  row.verdict = verdict(row.device, *inquiry->gpu, inquiry->headroom_bytes);
  return inquiry;
}

Result<Inquiry> fill_solution(const NamedConfig* model, const OptionValues& values, const std::string& name,
                              CardRow& row) {
  Result<Sought> sought = read_sought(model, values, name);
  if (!sought) return sought.error();
  Result<Solution> solution = solve_for(*sought, Effort::kLittle);
  if (!solution) return solution.error();
  row.solution = std::move(*solution);
  return std::move(sought->inquiry);
}

void write_solution(JsonWriter& out, const Solution& solution) {
  out.member("value", solution.value);
  out.member("peak_bytes", solution.peak_bytes);
  out.member("next", solution.next);
  out.member("next_peak_bytes", solution.next_peak_bytes);
  out.member("limit", solution.limit);
}

void write_row(JsonWriter& out, const CardRow& row) {
  out.begin_object();
  out.member("gpu", row.gpu);
  out.member("title", row.title);
  if (row.error) write_error(out, *row.error);
  if (row.verdict) {
    out.member("verdict", row.verdict->verdict);
    out.member("capacity_bytes", row.verdict->capacity_bytes);
    out.member("device_bytes", row.device.likely);
    out.member("margin_bytes", row.verdict->capacity_bytes - row.device.likely);
  }
  if (row.solution) write_solution(out, *row.solution);
  out.end_object();
}

}  // namespace

std::vector<std::string> all_cards() {
  std::vector<const Gpu*> cards;
  for (const Gpu& gpu : gpus()) cards.push_back(&gpu);
  sort_by(cards, [](const Gpu* gpu) { return gpu->memory_bytes; });
  std::vector<std::string> names;
  for (const Gpu* gpu : cards) names.emplace_back(gpu->name);
  return names;
}

Result<Cards> estimate_cards(const NamedConfig* model, const OptionValues& values,
                             const std::vector<std::string>& names) {
  return each_card(names, "", [&](const std::string& name, CardRow& row) {
    return fill_verdict(model, with_gpu(values, name), Command::kEstimate, row);
  });
}

Result<Cards> solve_cards(const NamedConfig* model, const OptionValues& values, const std::vector<std::string>& names,
                          const std::string& sought) {
  return each_card(names, sought, [&](const std::string& name, CardRow& row) {
    return fill_solution(model, with_gpu(values, name), sought, row);
  });
}

Result<Cards> choose_card(const NamedConfig* model, const OptionValues& values, const std::vector<std::string>& names) {
  return each_card(names, "batch", [&](const std::string& name, CardRow& row) -> Result<Inquiry> {
    OptionValues on_card = with_gpu(values, name);
    Result<Inquiry> inquiry = fill_verdict(model, on_card, Command::kSolve, row);
    if (!inquiry) return inquiry;
    std::erase_if(on_card, [](const OptionValue& value) { return value.name == "batch"; });
    const Result<Inquiry> solved = fill_solution(model, on_card, "batch", row);
    return solved ? std::move(inquiry) : solved.error();
  });
}

bool fits(const CardRow& row) {
  if (row.verdict) return row.verdict->fits;
  return row.solution && row.solution->value > 0;
}

std::string cards_json(const Cards& cards) {
  JsonWriter out;
  begin_answer(out, "cards", cards.inquiry);
  out.member("for", cards.sought);
  out.key("rows");
  out.begin_list();
  for (const CardRow& row : cards.rows) write_row(out, row);
  out.end_list();
  end_answer(out, cards.inquiry);
  return std::move(out).text();
}

}  // namespace peakmem
