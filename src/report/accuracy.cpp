#include "report/accuracy.h"

#include <algorithm>
#include <cmath>

#include "estimate/estimate.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

std::vector<double> sorted_sizes(const std::vector<double>& errors) {
  std::vector<double> sizes;
  sizes.reserve(errors.size());
  for (const double error : errors) sizes.push_back(std::fabs(error));
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

/// The smallest error that so large a share of them is no larger than.
double quantile(const std::vector<double>& errors, double share) {
  const std::vector<double> sizes = sorted_sizes(errors);
  if (sizes.empty()) return 0;
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sizes.size())));
  return sizes[rank == 0 ? 0 : rank - 1];
}

Accuracy& group_of(std::vector<Accuracy>& groups, const std::string& name) {
  for (Accuracy& group : groups)
    if (group.name == name) return group;
  groups.emplace_back().name = name;
  return groups.back();
}

std::string family_of(const Value& line) {
  const Value* what = line.find("case");
  const Value* config = what != nullptr ? what->find("config") : nullptr;
  const Value* family = config != nullptr ? config->find("model_type") : nullptr;
  return family != nullptr ? family->string : "unknown";
}

std::string row_of(const Accuracy& group) {
  return "| " + group.name + " | " + std::to_string(group.errors.size() / 2) + " | " + std::to_string(group.exact) +
         " of " + std::to_string(group.errors.size()) + " | " + percent(group.median(), 3) + " | " +
         percent(group.p95(), 3) + " | " + percent(group.worst(), 3) + " | " + std::to_string(group.under_predicted()) +
         " | " + std::to_string(group.records_not_covered()) + " |\n";
}

}  // namespace

void Accuracy::add(Difference number) {
  errors.push_back(static_cast<double>(number.ours - number.measured) / static_cast<double>(number.measured));
  if (number.ours == number.measured)
    ++exact;
  else
    differences.push_back(std::move(number));
}

double Accuracy::median() const {
  const std::vector<double> sizes = sorted_sizes(errors);
  if (sizes.empty()) return 0;
  return (sizes[(sizes.size() - 1) / 2] + sizes[sizes.size() / 2]) / 2;
}
double Accuracy::p95() const { return quantile(errors, 0.95); }
double Accuracy::worst() const { return quantile(errors, 1.0); }

size_t Accuracy::under_predicted() const {
  return static_cast<size_t>(std::count_if(errors.begin(), errors.end(), [](double error) { return error < -0.02; }));
}

size_t Accuracy::records_not_covered() const {
  size_t records = 0;
  for (const auto& [why, count] : not_covered) records += count;
  return records;
}

void Accuracy::add(const Accuracy& more) {
  errors.insert(errors.end(), more.errors.begin(), more.errors.end());
  exact += more.exact;
  parameters_differ += more.parameters_differ;
  for (const auto& [why, count] : more.not_covered) not_covered[why] += count;
}

void hold_to_record(const Value& line, const std::string& where, std::vector<Accuracy>& groups) {
  Accuracy& group = group_of(groups, family_of(line));
  const Result<Record> record = read_record(line);
  if (!record) {
    ++group.not_covered[record.error().field + ": " + record.error().problem];
    return;
  }
  const Result<Report> report = estimate(record->job, nullptr);
  if (!report) {
    ++group.not_covered[report.error().problem];
    return;
  }
  group.add({where, "tensor_bytes", report->tensor_bytes, record->peak_bytes});
  group.add({where, "first_step tensor_bytes", report->first_step_bytes, record->first_step_bytes});
  if (record->parameters > 0 && report->parameters != record->parameters) ++group.parameters_differ;
}

std::string accuracy_table(const std::vector<Accuracy>& groups) {
  std::string text =
      "| family | records | exact to the byte | median error | p95 | worst | under by > 2 % | not covered |\n"
      "|---|--:|--:|--:|--:|--:|--:|--:|\n";
  Accuracy all;
  all.name = "**all**";
  for (const Accuracy& group : groups) {
    text += row_of(group);
    all.add(group);
  }
  return text + row_of(all) + not_covered_lines(all);
}

std::string not_covered_lines(const Accuracy& all) {
  std::string text;
  for (const auto& [why, count] : all.not_covered) text += "\nnot covered: " + std::to_string(count) + " with " + why;
  return text.empty() ? text : text + "\n";
}

}  // namespace peakmem
