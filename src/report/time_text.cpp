#include "report/time_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "report/recipe_line.h"
#include "report/report_json.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr size_t kName = 40;
constexpr size_t kCell = 14;
constexpr size_t kModules = 12;

std::string rounded(double number, int decimals) {
  std::array<char, 48> text = {};
  std::snprintf(text.data(), text.size(), "%.*f", decimals, number);
  return text.data();
}

std::string whole_number(double number) { return grouped(std::llround(std::min(number, 9e18))); }

std::string bytes_text(double bytes) { return in_binary_units(std::llround(std::min(bytes, 9e18))); }

std::string between(const std::string& low, const std::string& high) { return " (" + low + " to " + high + ")"; }

void write_summary(Page& page, const StepTime& time, const Gpu& gpu) {
  const About& seconds = time.seconds;
  page.line(page.strong("A step takes about " + in_seconds(seconds.likely)) +
            between(in_seconds(seconds.low), in_seconds(seconds.high)) + ": an estimate");
  page.line("  tokens a second" + right(whole_number(time.tokens_per_second.likely), 12) +
            between(whole_number(time.tokens_per_second.low), whole_number(time.tokens_per_second.high)) +
            (time.ranks > 1 ? ", all " + std::to_string(time.ranks) + " ranks" : ""));
  page.line("  MFU            " + right(percent(time.mfu.likely, 1), 12) +
            between(percent(time.mfu.low, 1), percent(time.mfu.high, 1)) + " of " + in_flops(time.rate) + "/s in " +
            std::string(name_of(time.dtype)));
  page.line("  FLOP of the model " + in_flops(time.model_flops) + ", of kernels " + in_flops(time.flops) + "; " +
            whole_number(time.ops) + " ops");
  page.paragraph("  rates: ", std::string(gpu.rates.source));
}

void write_parts(Page& page, const StepTime& time) {
  page.heading("Where it goes, as is likely");
  page.line(page.faint(left("", kName) + right("FLOP", kCell) + right("bytes", kCell) + right("time", kCell)));
  for (const TimePart& part : time.parts)
    page.line("  " + left(part.name, kName - 2) + right(part.flops > 0 ? in_flops(part.flops) : "", kCell) +
              right(bytes_text(part.bytes), kCell) + right(in_seconds(part.seconds), kCell));
}

void write_modules(Page& page, const StepTime& time) {
  page.heading("FLOP by module");
  page.line(page.faint(left("", kName) + right("forward", kCell) + right("backward", kCell) + right("again", kCell)));
  for (size_t i = 0; i < std::min(kModules, time.modules.size()); ++i) {
    const ModuleWork& module = time.modules[i];
    std::string line = "  " + left(page.fitted(module.name, kName - 3), kName - 2);
    for (const Pass pass : {Pass::kForward, Pass::kBackward, Pass::kAgain}) {
      const double flops = module.flops[static_cast<size_t>(pass)];
      line += right(flops > 0 ? in_flops(flops) : "", kCell);
    }
    page.line(line);
  }
  if (time.modules.size() > kModules)
    page.line("  and " + std::to_string(time.modules.size() - kModules) + " more, in --json");
}

void write_lines(Page& page, const char* title, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  page.heading(title);
  for (const std::string& line : lines) page.paragraph("  ", line);
}

/// The large unit of a number, and its letter.
struct Scaled {
  double number;
  char letter;
};
Scaled scaled(double number) {
  constexpr std::array<char, 5> kLetters = {'M', 'G', 'T', 'P', 'E'};
  size_t unit = 0;
  for (number /= 1e6; number >= 1000 && unit + 1 < kLetters.size(); ++unit) number /= 1000;
  return {number, kLetters[unit]};
}

/// What is counted is whole, up to 2^53 exactly.
int64_t count_of(double number) { return std::llround(std::min(number, 9e18)); }

void write_part(JsonWriter& out, const TimePart& part) {
  out.begin_object();
  out.member("name", part.name);
  out.member("flops", count_of(part.flops));
  out.member("bytes", count_of(part.bytes));
  out.member("seconds", part.seconds);
  out.end_object();
}

void write_module(JsonWriter& out, const ModuleWork& module) {
  out.begin_object();
  out.member("name", module.name);
  out.member("flops", count_of(module.total()));
  for (size_t i = 0; i < kPasses; ++i) out.member(kFlopsNames[i], count_of(module.flops[i]));
  out.member("bytes", count_of(module.bytes));
  out.end_object();
}

template <class Rows, class Write>
void write_list(JsonWriter& out, std::string_view name, const Rows& rows, const Write& write) {
  out.key(name);
  out.begin_list();
  for (const auto& row : rows) write(out, row);
  out.end_list();
}

}  // namespace

std::string in_seconds(double seconds) {
  if (seconds >= 100) return rounded(seconds, 0) + " s";
  if (seconds >= 1) return rounded(seconds, 2) + " s";
  return rounded(seconds * 1e3, seconds >= 0.1 ? 0 : seconds >= 0.01 ? 1 : 2) + " ms";
}

std::string in_flops(double flops) {
  const Scaled shown = scaled(flops);
  return rounded(shown.number, shown.number >= 100 ? 0 : shown.number >= 10 ? 1 : 2) + " " + shown.letter + "FLOP";
}

std::string time_text(const StepTime& time, const Request& request, const Style& style) {
  Page page(style);
  page.line(page.strong(request.name) + " on " + (time.ranks > 1 ? std::to_string(time.ranks) + " × " : "") +
            std::string(request.gpu->title));
  page.line(recipe_line(request.job));
  page.line();
  write_summary(page, time, *request.gpu);
  write_parts(page, time);
  write_modules(page, time);
  write_lines(page, "Why it is a range", time.reasons);
  write_lines(page, "Taken for granted", request.assumptions);
  write_lines(page, "Warnings", request.warnings);
  return std::move(page).text();
}

void write_about(JsonWriter& out, std::string_view name, const About& about) {
  out.key(name);
  out.begin_object();
  out.member("low", about.low);
  out.member("likely", about.likely);
  out.member("high", about.high);
  out.end_object();
}

std::string time_json(const StepTime& time, const Request& request) {
  JsonWriter out;
  begin_answer(out, "time", request);
  out.member("gpu", request.gpu->name);
  out.member("ranks", time.ranks);
  out.member("tokens", count_of(time.tokens));
  out.member("flops", count_of(time.flops));
  out.member("model_flops", count_of(time.model_flops));
  out.member("bytes", count_of(time.bytes));
  out.member("sent_bytes", count_of(time.sent_bytes));
  out.member("ops", count_of(time.ops));
  out.member("rate", time.rate);
  out.member("dtype", name_of(time.dtype));
  write_about(out, "seconds", time.seconds);
  write_about(out, "tokens_per_second", time.tokens_per_second);
  write_about(out, "mfu", time.mfu);
  write_list(out, "parts", time.parts, write_part);
  write_list(out, "modules", time.modules, write_module);
  write_lines(out, "reasons", time.reasons);
  end_answer(out, request);
  return std::move(out).text();
}

}  // namespace peakmem
