#include "trace/lifetimes.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

namespace peakmem {
namespace {

/// Counts of what is there, by kind of storage.
class Living {
 public:
  Living(const Program& program, const std::vector<int64_t>& values) : program_(program), values_(values) {
    repeats_ = !std::all_of(program.turns.begin(), program.turns.end(),
                            [](const Turn& turn) { return identical(turn.count, 1); });
    std::map<std::tuple<int32_t, Category, uint64_t>, int32_t> alike;
    for (const Storage& storage : program.storages) {
      const auto next = static_cast<int32_t>(kinds_.size());
      kinds_.push_back(
          repeats_ ? alike.try_emplace({storage.scope, storage.category, storage.bytes.key()}, next).first->second
                   : next);
    }
    counts_.resize(kinds_.size(), 0);
  }

  std::optional<Error> run(const Phase& phase) {
    for (int32_t s = phase.first_segment; s < phase.last_segment; ++s)
      if (auto wrong = run(program_.segments[static_cast<size_t>(s)])) return wrong;
    return std::nullopt;
  }

 private:
  std::optional<Error> run(const Segment& segment) {
    const int64_t turns = value_of(program_.turns[static_cast<size_t>(segment.turn)].count, values_);
    if (turns > 0)
      if (auto wrong = run_once(segment)) return wrong;
    if (turns < 2) return std::nullopt;
    for (int32_t i = segment.first; i < segment.last; ++i) count(program_.events[static_cast<size_t>(i)], turns - 2);
    return run_once(segment);
  }

  int64_t count(const Event& event, int64_t times) {
    int64_t& there = counts_[static_cast<size_t>(kinds_[static_cast<size_t>(event.storage)])];
    return there += event.birth ? times : -times;
  }

  std::optional<Error> run_once(const Segment& segment) {
    for (int32_t i = segment.first; i < segment.last; ++i) {
      const Event& event = program_.events[static_cast<size_t>(i)];
      const int64_t there = count(event, 1);
      const std::string storage = "storage " + std::to_string(event.storage + 1);
      const std::string field = "events[" + std::to_string(i) + "]";
      if (there < 0) return Error{field, "releases " + storage + ", which is not there", {}};
      if (there > 2 && !repeats_) return Error{field, "makes " + storage + " a third time before it is released", {}};
    }
    return std::nullopt;
  }

  const Program& program_;
  const std::vector<int64_t>& values_;
  bool repeats_ = false;
  std::vector<int32_t> kinds_;  // by storage
  std::vector<int64_t> counts_;
};

}  // namespace

std::optional<Error> check_lifetimes(const Program& program, const std::vector<int64_t>& values) {
  Living living(program, values);
  for (const Phase& phase : program.phases)
    if (auto wrong = living.run(phase)) return wrong;
  for (const Phase& phase : program.phases)
    if (phase.step == 2)
      if (auto wrong = living.run(phase)) return wrong;
  return std::nullopt;
}

}  // namespace peakmem
