#include "plan/cards.h"

#include <algorithm>

#include "estimate/device.h"
#include "estimate/estimate.h"
#include "estimate/nccl.h"
#include "estimate/reserved.h"
#include "request/gpu_choice.h"
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
    Result<Request> request = fill(name, row);
    if (!request) row.error = request.error();
    if (!request || found) continue;
    cards.request = std::move(*request);
    found = true;
  }
  if (!found) return *cards.rows[0].error;
  return cards;
}

/// The verdict as estimate() has it, without a ledger.
Result<Request> fill_verdict(const NamedConfig* model, const OptionValues& values, Command command, CardRow& row) {
  Result<Request> request = make_request(model, values, command);
  if (!request) return request;
  const Result<Levels> levels = peak_levels(request->job, request->gpu);
  if (!levels) return levels.error();
  const Range reserved =
      request->allocator
          ? reserved_range(levels->allocated, replay_job(request->job, request->gpu, *request->allocator))
          : reserved_range(levels->allocated);
  row.device = device_range(reserved, request->gpu, levels->managed, nccl_bytes(request->job.recipe));
  row.verdict = verdict(row.device, *request->gpu, request->headroom_bytes);
  return request;
}

Result<Request> fill_solution(const NamedConfig* model, const OptionValues& values, const std::string& name,
                              CardRow& row) {
  Result<Sought> sought = read_sought(model, values, name);
  if (!sought) return sought.error();
  Result<Solution> solution = solve_for(*sought, Effort::kLittle);
  if (!solution) return solution.error();
  row.solution = std::move(*solution);
  return std::move(sought->request);
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
  return each_card(names, "batch", [&](const std::string& name, CardRow& row) -> Result<Request> {
    OptionValues on_card = with_gpu(values, name);
    Result<Request> request = fill_verdict(model, on_card, Command::kSolve, row);
    if (!request) return request;
    drop_option(on_card, "batch");
    const Result<Request> solved = fill_solution(model, on_card, "batch", row);
    return solved ? std::move(request) : solved.error();
  });
}

bool fits(const CardRow& row) {
  if (row.verdict) return row.verdict->fits;
  return row.solution && row.solution->value > 0;
}

}  // namespace peakmem
