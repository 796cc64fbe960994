#include "measured/oracle_trace.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <unordered_map>

#include "format/json.h"
#include "measured/record.h"
#include "size/text.h"
#include "size/wording.h"

namespace peakmem {
namespace {

/// A line of the trace: a change of one storage.
struct Change {
  int64_t bytes = 0;
  int64_t number = 0;
  std::string_view name;  // of an allocation: dtype, shape, op
};

/// Cuts off what stands before `separator`, and the separator.
std::string_view cut(std::string_view& text, std::string_view separator) {
  const size_t end = std::min(text.find(separator), text.size());
  const std::string_view before = text.substr(0, end);
  text.remove_prefix(std::min(end + separator.size(), text.size()));
  return before;
}

bool read_number(std::string_view text, int64_t& number) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  return problem == std::errc() && end == text.data() + text.size();
}

/// What is live while a trace is replayed; storages from before it are a sum.
class Live {
 public:
  explicit Live(int64_t earlier) : level_(earlier), earlier_(earlier) {}

  /// False where more is released than there is.
  bool apply(const Change& change) {
    if (__builtin_add_overflow(level_, change.bytes, &level_)) return false;
    Block& block = blocks_[change.number];
    if (change.bytes > 0) block.name = change.name;
    const int64_t of_block = std::max(change.bytes, -block.bytes);
    block.bytes += of_block;
    earlier_ += change.bytes - of_block;
    if (block.bytes == 0) blocks_.erase(change.number);
    return earlier_ >= 0;
  }
  int64_t level() const { return level_; }

  LiveSet set() const {
    std::map<std::pair<int64_t, std::string_view>, int64_t> groups;
    for (const auto& [number, block] : blocks_) ++groups[{block.bytes, block.name}];
    LiveSet live;
    live.bytes = level_;
    live.earlier_bytes = earlier_;
    for (const auto& [group, count] : groups) live.groups.push_back({group.first, count, std::string(group.second)});
    return live;
  }

 private:
  struct Block {
    int64_t bytes = 0;
    std::string_view name;
  };
  std::unordered_map<int64_t, Block> blocks_;
  int64_t level_;
  int64_t earlier_;
};

/// Reads the lines below the case, and replays them as it does.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  std::optional<Error> read() {
    for (line_ = 2; !rest_.empty() && !ended_; ++line_) {
      const std::string_view line = trimmed(cut(rest_, "\n"));
      const bool good = line.empty() || (line.starts_with("=== ") ? heading(line.substr(4)) : change(line));
      if (!good && error_.problem.empty()) fail("is no line of a trace: " + in_quotes(line));
      if (!good) return error_;
    }
    if (!ended_) fail("the trace ends before its end: is it cut off?");
    return ended_ ? std::nullopt : std::optional(error_);
  }

  /// What is live at the highest moment of the chosen step.
  Result<LivePeak> peak(const MeasurementChoice& choice) const {
    const int64_t step = choice.step.value_or(phases_.back().step);
    size_t highest = phases_.size();
    for (size_t i = 0; i < phases_.size(); ++i) {
      const bool wanted = phases_[i].step == step && (choice.phase.empty() || choice.phase == phases_[i].phase);
      if (!wanted || (highest < i && phases_[highest].peak_bytes >= phases_[i].peak_bytes)) continue;
      highest = i;
    }
    if (highest == phases_.size())
      return Error{choice.phase.empty() ? "--step" : "--phase", "is not in this trace",
                   "it has " + phases_.front().phase + " of step " + std::to_string(phases_.front().step) + " to " +
                       phases_.back().phase + " of step " + std::to_string(phases_.back().step)};
    Live live(phases_.front().start_bytes);
    for (size_t i = 0; i < peaks_[highest]; ++i) live.apply(changes_[i]);
    LivePeak found = {live.set(), phases_};
    found.live.step = phases_[highest].step;
    found.live.phase = phases_[highest].phase;
    return found;
  }

 private:
  bool fail(std::string_view problem, std::string_view hint = {}) {
    error_ = {"line " + std::to_string(line_), problem, hint};
    return false;
  }

  /// "forward of step 1.01, 516032 bytes live"
  bool heading(std::string_view text) {
    PhaseReport phase;
    phase.phase = cut(text, " of step ");
    char* end = nullptr;
    const std::string number(cut(text, ", "));
    read_step(std::strtod(number.c_str(), &end), phase);
    int64_t level = 0;
    if (number.empty() || *end != 0 || !read_number(cut(text, " bytes live"), level) || level < 0) return false;
    if (phases_.empty()) live_ = Live(level);
    if (level != live_.level())
      return fail("says " + std::to_string(level) + " bytes are live, and the lines above it sum to " +
                      std::to_string(live_.level()),
                  "is the trace cut off or edited?");
    phase.start_bytes = phase.peak_bytes = phase.end_bytes = level;
    ended_ = phase.phase == "end";  // then the program lets go of everything
    phases_.push_back(std::move(phase));
    peaks_.push_back(changes_.size());
    return true;
  }

  /// "+8192        #42    bfloat16 [2,32,64]  embedding" or "-8192        #42    after add.Tensor"
  bool change(std::string_view text) {
    Change change;
    const bool birth = text.starts_with('+');
    text.remove_prefix(birth ? 1 : 0);
    std::string_view bytes = cut(text, "#");
    if (phases_.empty() || !read_number(trimmed(bytes), change.bytes) || (change.bytes > 0 && !birth)) return false;
    if (!read_number(cut(text, " "), change.number) || change.number < 0) return false;
    change.name = trimmed(text);
    if (!live_.apply(change)) return fail("releases more than is live");
    changes_.push_back(change);
    PhaseReport& phase = phases_.back();
    phase.end_bytes = live_.level();
    if (live_.level() <= phase.peak_bytes) return true;
    phase.peak_bytes = live_.level();
    peaks_.back() = changes_.size();
    return true;
  }

  std::string_view rest_;
  size_t line_ = 0;
  bool ended_ = false;
  Live live_ = Live(0);
  std::vector<Change> changes_;
  std::vector<PhaseReport> phases_;
  std::vector<size_t> peaks_;  // of each phase: how many changes come before its highest moment
  Error error_;
};

}  // namespace

Result<Measurement> read_oracle_trace(std::string_view text, const MeasurementChoice& choice) {
  std::string_view first = cut(text, "\n");
  first.remove_prefix(std::min<size_t>(first.size(), 1));  // the #
  const Result<Value> what = parse_json(trimmed(first));
  if (!what) return Error{"line 1", "is no case: " + what.error().problem, what.error().hint};
  Result<Job> job = read_case(*what);
  if (!job) return job.error();
  Reader reader(text);
  if (auto error = reader.read()) return *error;
  Result<LivePeak> peak = reader.peak(choice);
  if (!peak) return peak.error();
  Measurement measurement;
  measurement.format = "trace";
  measurement.earlier_apart = true;
  measurement.model = job->description.family;
  measurement.job = std::move(*job);
  measurement.peak = std::move(*peak);
  return measurement;
}

}  // namespace peakmem
