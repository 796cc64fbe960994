#include "io/sweep.h"

#include "estimate/estimate.h"

namespace peakmem {
namespace {

Result<std::vector<int64_t>> read_values(const Asked& asked) {
  std::vector<int64_t> values;
  for (const std::string& text : asked.list("values")) {
    const Result<int64_t> value = parse_size(text, "--values");
    if (!value) return value.error();
    values.push_back(*value);
  }
  if (values.size() > kMaxSweep)
    return Error{"--values", "are more than " + std::to_string(kMaxSweep), "ask for fewer at once"};
  return values;
}

std::optional<Error> check(const Asked& asked) {
  if (!asked.has("over")) return Error{"--over", "is missing", "such as --over batch"};
  if (!asked.has("values")) return Error{"--values", "is missing", "such as --values 1,2,4,8"};
  if (const std::string& over = *asked.text("over"); asked.has(over))
    return Error{"--" + over, "is what is varied", "drop it, or vary another"};
  return std::nullopt;
}

SweepPoint point_at(int64_t value, const Result<Inquiry>& inquiry) {
  if (!inquiry) return {value, inquiry.error()};
  Result<Report> report = estimate(inquiry->job, inquiry->gpu, inquiry->allocator, inquiry->headroom_bytes);
  if (!report) return {value, report.error()};
  return {value, std::nullopt, std::move(*report), textbook(inquiry->job)};
}

}  // namespace

Result<Sweep> sweep(const NamedConfig* model, OptionValues values) {
  if (auto wrong = check_options(values, Command::kSweep)) return *wrong;
  const Asked asked(values);
  if (auto wrong = check(asked)) return *wrong;
  const Result<std::vector<int64_t>> numbers = read_values(asked);
  if (!numbers) return numbers.error();
  Sweep swept = {*asked.text("over")};
  std::erase_if(values, [](const OptionValue& option) { return option.name == "over" || option.name == "values"; });
  OptionValue& varied = values.emplace_back(OptionValue{swept.over, {}});
  bool found = false;
  for (const int64_t number : *numbers) {
    varied.text = std::to_string(number);
    Result<Inquiry> inquiry = make_inquiry(model, values, Command::kSweep);
    swept.points.push_back(point_at(number, inquiry));
    if (found || swept.points.back().error) continue;
    swept.inquiry = std::move(*inquiry);
    found = true;
  }
  if (!found) return *swept.points[0].error;
  return swept;
}

}  // namespace peakmem
