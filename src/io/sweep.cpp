#include "io/sweep.h"

#include <algorithm>

#include "estimate/estimate.h"
#include "io/recorded.h"

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

/// The option that a value of `over` is put behind: its own, or where it is a letter --at.
OptionValue& varied_option(OptionValues& values, const std::string& over) {
  if (find_option(over) != nullptr) return values.emplace_back(OptionValue{over, {}});
  const auto at =
      std::find_if(values.begin(), values.end(), [](const OptionValue& value) { return value.name == "at"; });
  OptionValue& option = at == values.end() ? values.emplace_back(OptionValue{"at", {}}) : *at;
  option.text += (option.text.empty() ? "" : ",") + over + "=";
  return option;
}

SweepPoint point_at(int64_t value, const Result<Inquiry>& inquiry) {
  if (!inquiry) return {value, inquiry.error()};
  Result<Report> report = estimate(inquiry->job, inquiry->gpu, inquiry->allocator, inquiry->headroom_bytes);
  if (!report) return {value, report.error()};
  return {value, std::nullopt, std::move(*report),
          inquiry->job.recording ? std::vector<Textbook>{} : textbook(inquiry->job)};
}

}  // namespace

Result<Sweep> sweep(const NamedConfig* model, OptionValues values) {
  if (auto wrong = check_options(values, Command::kSweep, letter_names(model))) return *wrong;
  const Asked asked(values);
  if (auto wrong = check(asked)) return *wrong;
  const Result<std::vector<int64_t>> numbers = read_values(asked);
  if (!numbers) return numbers.error();
  Sweep swept = {*asked.text("over")};
  std::erase_if(values, [](const OptionValue& option) { return option.name == "over" || option.name == "values"; });
  OptionValue& varied = varied_option(values, swept.over);
  const std::string before = varied.text;
  bool found = false;
  for (const int64_t number : *numbers) {
    varied.text = before + std::to_string(number);
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
