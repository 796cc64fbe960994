#include "plan/sweep.h"

#include <algorithm>

#include "estimate/estimate.h"
#include "request/grid_file.h"
#include "request/option_checks.h"
#include "request/recorded.h"
#include "size/text.h"
#include "size/wording.h"

namespace peakmem {
namespace {

Error too_many() {
  return {"--values", "are more than " + std::to_string(kMaxSweep),
          "ask for fewer at once, or name a file for them: --jsonl FILE"};
}

/// The exponent of "2^6".
std::optional<int64_t> power_of_two(std::string_view text) {
  if (!text.starts_with("2^") || text.size() < 3 || text.size() > 4) return std::nullopt;
  int64_t power = 0;
  for (const char c : text.substr(2)) {
    if (c < '0' || c > '9') return std::nullopt;
    power = 10 * power + (c - '0');
  }
  return power < 62 ? std::optional(power) : std::nullopt;
}

/// "2^0..2^6"
Result<std::vector<std::string>> powers(std::string_view first, std::string_view last) {
  const std::optional<int64_t> low = power_of_two(first);
  const std::optional<int64_t> high = power_of_two(last);
  if (!low || !high || *low > *high)
    return Error{"--values", in_quotes(std::string(first) + ".." + std::string(last)) + " is no range of powers of two",
                 "such as 2^0..2^6"};
  std::vector<std::string> values;
  for (int64_t power = *low; power <= *high; ++power) values.push_back(std::to_string(int64_t{1} << power));
  return values;
}

/// "1..64", "8..64:8", "2^0..2^6"
Result<std::vector<std::string>> range_of(std::string_view text) {
  const size_t dots = text.find("..");
  const std::string_view first = text.substr(0, dots);
  std::string_view last = text.substr(dots + 2);
  if (first.starts_with("2^")) return powers(first, last);
  const size_t colon = last.find(':');
  const Result<int64_t> step = colon == std::string_view::npos ? 1 : parse_size(last.substr(colon + 1), "--values");
  last = last.substr(0, colon);
  const Result<int64_t> low = parse_size(first, "--values");
  const Result<int64_t> high = parse_size(last, "--values");
  for (const Result<int64_t>* each : {&low, &high, &step})
    if (!*each) return each->error();
  if (*low > *high) return Error{"--values", in_quotes(text) + " ends before it begins", "such as 1..64"};
  if ((*high - *low) / *step >= static_cast<int64_t>(kMaxSweep)) return too_many();
  std::vector<std::string> values;
  for (int64_t value = *low; value <= *high; value += *step) values.push_back(std::to_string(value));
  return values;
}

/// Adds an entry of a list of sizes.
std::optional<Error> add_sizes(const std::string& entry, std::vector<std::string>& values) {
  if (const std::optional<int64_t> power = power_of_two(entry)) {
    values.push_back(std::to_string(int64_t{1} << *power));
    return std::nullopt;
  }
  if (entry.find("..") != std::string::npos) {
    Result<std::vector<std::string>> range = range_of(entry);
    if (!range) return range.error();
    values.insert(values.end(), range->begin(), range->end());
    return std::nullopt;
  }
  const Result<int64_t> value = parse_size(entry, "--values");
  if (!value) return value.error();
  values.push_back(std::to_string(*value));
  return std::nullopt;
}

bool is_size(const std::string& over) {
  const OptionRow* row = find_option(over);
  return row == nullptr || row->kind == OptionKind::kSize;  // a letter of a trace is one
}

std::optional<Error> check(const Options& asked) {
  if (!asked.has("over")) return Error{"--over", "is missing", "such as --over batch"};
  if (!asked.has("values")) return Error{"--values", "is missing", "such as --values 1,2,4,8"};
  const std::vector<std::string> overs = split(*asked.text("over"), ',');
  for (size_t i = 0; i < overs.size(); ++i) {
    if (asked.has(overs[i])) return Error{"--" + overs[i], "is what is varied", "drop it, or vary another"};
    if (std::find(overs.begin(), overs.begin() + static_cast<std::ptrdiff_t>(i), overs[i]) !=
        overs.begin() + static_cast<std::ptrdiff_t>(i))
      return Error{"--over", overs[i] + " is named twice", "name it once"};
  }
  return std::nullopt;
}

Result<std::vector<SweepAxis>> read_axes(const Options& asked) {
  const std::vector<std::string> overs = split(*asked.text("over"), ',');
  const std::vector<std::string> texts = split(*asked.text("values"), ';');
  if (overs.size() != texts.size())
    return Error{
        "--values",
        "are of " + std::to_string(texts.size()) + " options, and " + std::to_string(overs.size()) + " are varied",
        "with a semicolon between them: --over batch,gpu --values \"1,2;t4,l4\""};
  std::vector<SweepAxis> axes;
  uint64_t points = 1;
  for (size_t i = 0; i < overs.size(); ++i) {
    Result<std::vector<std::string>> values = parse_values(texts[i], overs[i]);
    if (!values) return values.error();
    points *= values->size();
    if (points > (asked.has("shard") ? kMaxGrid : kMaxSweep)) return too_many();
    axes.push_back({overs[i], is_size(overs[i]), std::move(*values)});
  }
  return axes;
}

constexpr int64_t kMaxShards = int64_t{1} << 20;

/// A stretch of points by their numbers.
struct Stretch {
  size_t first = 0;
  size_t last = 0;
};

/// The I-th of N stretches that are as long as they can be made alike.
Result<Stretch> read_shard(const Options& asked, size_t points) {
  const std::string* text = asked.text("shard");
  if (text == nullptr) return Stretch{0, points};
  const size_t slash = std::min(text->find('/'), text->size());
  const std::string which = text->substr(0, slash);
  const Result<int64_t> index = which == "0" ? 0 : parse_size(which, "--shard");
  const Result<int64_t> count = parse_size(text->substr(std::min(slash + 1, text->size())), "--shard");
  const bool good = index && count && *index < *count && *count <= kMaxShards;
  if (!good)
    return Error{"--shard", "must be I/N with I from 0 to N - 1, N up to 2^20, is " + in_quotes(*text), "such as 0/8"};
  const auto place = [&](int64_t shard) {  // in 60 bits
    return points * static_cast<size_t>(shard) / static_cast<size_t>(*count);
  };
  const Stretch stretch = {place(*index), place(*index + 1)};
  if (stretch.last - stretch.first > kMaxSweep)
    return Error{"--shard", "has more than " + std::to_string(kMaxSweep) + " points", "cut the grid in more shards"};
  return stretch;
}

/// Puts a value behind the option that is varied: its own, or where it is a letter --at.
void put(OptionValues& values, const std::string& over, const std::string& text) {
  if (find_option(over) != nullptr) {
    values.push_back({over, text});
    return;
  }
  const auto at =
      std::find_if(values.begin(), values.end(), [](const OptionValue& value) { return value.name == "at"; });
  OptionValue& option = at == values.end() ? values.emplace_back(OptionValue{"at", {}}) : *at;
  option.text += (option.text.empty() ? "" : ",") + over + "=" + text;
}

/// A report without what a table of many does not show.
Report slim(Report report) {
  for (LedgerRow& row : report.ledger) row = {std::move(row.category), {}, row.count, row.bytes, {}, {}};
  report.modules.clear();
  report.pool.reset();
  return report;
}

SweepPoint point_at(std::vector<std::string> at, const Result<Request>& request) {
  SweepPoint point;
  point.values = std::move(at);
  if (!request) {
    point.error = request.error();
    return point;
  }
  Result<Report> report = estimate(request->job, request->gpu, request->allocator, request->headroom_bytes);
  if (!report) {
    point.error = report.error();
    return point;
  }
  point.report = slim(std::move(*report));
  if (!request->job.recording) point.textbook = textbook(request->job);
  return point;
}

/// The values of the point with that number, the last axis the quickest.
std::vector<std::string> values_at(const std::vector<SweepAxis>& axes, size_t number) {
  std::vector<std::string> values(axes.size());
  for (size_t i = axes.size(); i-- > 0; number /= axes[i].values.size())
    values[i] = axes[i].values[number % axes[i].values.size()];
  return values;
}

}  // namespace

Result<std::vector<std::string>> parse_values(const std::string& text, const std::string& over) {
  const OptionRow* row = find_option(over);
  std::vector<std::string> values;
  if (!is_size(over) && text == "all" && row->choices != nullptr) {
    for (const std::string_view choice : row->choices()) values.emplace_back(choice);
    return values;
  }
  for (const std::string& entry : split(text, ',')) {
    if (!is_size(over)) {
      const bool flag = row->kind == OptionKind::kFlag;
      if (entry.empty()) return Error{"--values", "has an empty one", "such as --values a,b"};
      values.push_back(flag && entry == "yes" ? "true" : flag && entry == "no" ? "false" : entry);
    } else if (auto wrong = add_sizes(entry, values)) {
      return *wrong;
    }
    if (values.size() > kMaxSweep) return too_many();
  }
  return values;
}

Result<size_t> grid_size(const NamedConfig* model, OptionValues values) {
  if (auto wrong = read_grid_file(values)) return *wrong;
  if (auto wrong = check_options(values, Command::kSweep, letter_names(model))) return *wrong;
  if (auto wrong = check(Options(values))) return *wrong;
  drop_option(values, "shard");
  values.push_back({"shard", "0/1"});  // without a bound for what is asked at once
  const Result<std::vector<SweepAxis>> axes = read_axes(Options(values));
  if (!axes) return axes.error();
  size_t points = 1;
  for (const SweepAxis& axis : *axes) points *= axis.values.size();
  return points;
}

Result<Sweep> sweep(const NamedConfig* model, OptionValues values) {
  if (auto wrong = read_grid_file(values)) return *wrong;
  if (auto wrong = check_options(values, Command::kSweep, letter_names(model))) return *wrong;
  const Options asked(values);
  if (auto wrong = check(asked)) return *wrong;
  Result<std::vector<SweepAxis>> axes = read_axes(asked);
  if (!axes) return axes.error();
  Sweep swept;
  swept.over = *asked.text("over");
  swept.axes = std::move(*axes);
  swept.grid = 1;
  for (const SweepAxis& axis : swept.axes) swept.grid *= axis.values.size();
  const bool is_shard = asked.has("shard");
  const Result<Stretch> stretch = read_shard(asked, swept.grid);
  if (!stretch) return stretch.error();
  swept.first = stretch->first;
  std::erase_if(values, [](const OptionValue& option) {
    return option.name == "over" || option.name == "values" || option.name == "shard";
  });
  bool found = false;
  for (size_t number = stretch->first; number < stretch->last; ++number) {
    std::vector<std::string> at = values_at(swept.axes, number);
    OptionValues asked_there = values;
    for (size_t i = 0; i < at.size(); ++i) put(asked_there, swept.axes[i].over, at[i]);
    Result<Request> request = make_request(model, asked_there, Command::kSweep);
    swept.points.push_back(point_at(std::move(at), request));
    if (found || swept.points.back().error) continue;
    swept.request = std::move(*request);
    found = true;
  }
  if (!found && !is_shard) return *swept.points[0].error;
  if (!found && model != nullptr) swept.request.name = model->name;
  return swept;
}

}  // namespace peakmem
