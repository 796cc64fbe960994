#include "plan/advise.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <ranges>

#include "estimate/device.h"
#include "estimate/estimate.h"
#include "estimate/step_time.h"
#include "size/bytes.h"
#include "size/order.h"

namespace peakmem {
namespace {

constexpr size_t kMostStances = 240;
constexpr int64_t kMostReplays = 60;    // sets that are replayed
constexpr size_t kReplaysOfStance = 4;  // of those that may fit and do not
/// Warnings that changes may bring: of ranks, and of a trace on another card.
constexpr std::array<std::string_view, 2> kBrought = {"NCCL", "traced for"};

using Set = std::vector<size_t>;  // places of changes, rising

/// What a set of changes allocates; where it is no job, the largest number.
constexpr int64_t kNoJob = std::numeric_limits<int64_t>::max();

/// A rank's likely seconds a token; nothing where its card has no rates, or the job's ops are not known.
std::optional<double> seconds_of_token(const Request& request) {
  if (request.job.recording || check_rates(*request.gpu)) return std::nullopt;
  const Program program = trace_step(request.job, number_dims(request.job));
  const StepTime time = step_time(request.job, program, *request.gpu);
  return time.tokens > 0 ? std::optional(time.seconds.likely / time.tokens) : std::nullopt;
}

class Search {
 public:
  Search(const NamedConfig* model, const OptionValues& values, const Reach& reach, Advice& advice)
      : model_(model),
        values_(values),
        reach_(reach),
        advice_(advice),
        changes_(changes_for(advice.request, values)),
        seconds_(seconds_of_token(advice.request)) {
    for (size_t i = 0; i < changes_.size(); ++i)
      (changes_[i].cost == Cost::kCards || changes_[i].cost == Cost::kQuality || changes_[i].group == "ranks" ? hard_
                                                                                                              : soft_)
          .push_back(i);
  }

  void run() {
    add_larger_card();
    for (const Set& stance : stances()) {
      if (advice_.suggestions.size() >= reach_.suggestions || advice_.tried >= reach_.tries || replays_ >= kMostReplays)
        break;
      if (!contains_one_that_fits(stance) && !is_answered(stance)) try_stance(stance);
    }
    if (advice_.suggestions.empty()) try_everything();
    if (advice_.suggestions.empty()) set_nearest();
    sort_by(advice_.suggestions, [](const Suggestion& each) { return each.weight; });
  }

 private:
  const Gpu& gpu() const { return *advice_.request.gpu; }
  int64_t capacity() const { return gpu().memory_bytes - advice_.request.headroom_bytes; }

  OptionValues options_of(const Set& set) const {
    OptionValues values = values_;
    for (const size_t i : set) values = changed_options(std::move(values), changes_[i]);
    return values;
  }

  /// The request with the changes; nothing where it is none, or PyTorch would warn.
  std::optional<Request> request_of(const OptionValues& values) const {
    Result<Request> request = make_request(model_, values, Command::kEstimate);
    if (!request) return std::nullopt;
    for (const std::string& warning : request->warnings)
      if (!is_known(warning) && !may_be_brought(warning)) return std::nullopt;
    return std::move(*request);
  }

  static bool may_be_brought(std::string_view warning) {
    return std::any_of(kBrought.begin(), kBrought.end(),
                       [&](std::string_view begin) { return warning.starts_with(begin); });
  }

  bool is_known(const std::string& warning) const {
    const std::vector<std::string>& known = advice_.request.warnings;
    return std::find(known.begin(), known.end(), warning) != known.end();
  }

  bool is_consistent(const Set& set) const {
    for (size_t i = 0; i < set.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        if (contradict(changes_[set[i]], changes_[set[j]])) return false;
    return true;
  }

  int64_t allocated(const Set& set) {
    const auto [known, is_new] = allocated_.try_emplace(set, kNoJob);
    if (!is_new) return known->second;
    ++advice_.tried;
    const std::optional<Request> request = request_of(options_of(set));
    if (!request) return kNoJob;
    const Result<Levels> levels = peak_levels(request->job, request->gpu);
    if (levels) known->second = levels->allocated;
    return known->second;
  }

  /// By what is allocated: where not, it does not fit.
  bool may_fit(int64_t allocated) const {
    if (allocated == kNoJob) return false;
    return in_segments(allocated) + likely_context(gpu()) <= capacity();
  }

  static Set with(Set set, size_t place) {
    set.insert(std::upper_bound(set.begin(), set.end(), place), place);
    return set;
  }

  int weight_of(const Set& set) const {
    int weight = 0;
    for (const size_t i : set) weight += changes_[i].weight;
    return weight;
  }

  /// Sets of up to three changes that cost cards or quality, the cheapest first; the first is empty.
  std::vector<Set> stances() const {
    std::vector<Set> sets = {{}};
    for (size_t begin = 0, size = 0; size < 3; ++size) {
      const size_t end = sets.size();
      for (; begin < end; ++begin)
        for (const size_t place : hard_)
          if (sets[begin].empty() || place > sets[begin].back())
            if (Set more = with(sets[begin], place); is_consistent(more)) sets.push_back(std::move(more));
    }
    sort_by(sets, [&](const Set& set) { return weight_of(set); });
    if (sets.size() > kMostStances) sets.resize(kMostStances);
    return sets;
  }

  /// Whether fewer of the set's changes are known to do: it is none of the smallest then.
  bool contains_one_that_fits(const Set& set) const {
    return std::any_of(fitting_.begin(), fitting_.end(), [&](const Set& fits) {
      return std::includes(set.begin(), set.end(), fits.begin(), fits.end());
    });
  }

  /// Whether something fits with a cheaper stance of the same kinds: of fewer ranks, or a longer context.
  bool is_answered(const Set& stance) const {
    const auto is_kin = [&](const Set& other) {
      return std::equal(stance.begin(), stance.end(), other.begin(), other.end(),
                        [&](size_t a, size_t b) { return changes_[a].kind == changes_[b].kind; });
    };
    return std::any_of(answered_.begin(), answered_.end(), is_kin);
  }

  /// The stance with every soft change that lessens what is allocated, of a group the strongest.
  Set strongest(const Set& stance) {
    Set best = stance;
    int64_t least = allocated(best);
    for (const size_t place : std::ranges::reverse_view(soft_)) {
      const Set more = with(best, place);
      if (!is_consistent(more)) continue;
      const int64_t bytes = allocated(more);
      if (bytes < least || (least == kNoJob && bytes != kNoJob)) best = more, least = bytes;
    }
    if (least < nearest_bytes_) nearest_bytes_ = least, nearest_ = best;
    return best;
  }

  /// Where no small set fits: from every hard change alone, all others that lessen what is allocated, as many as it
  /// takes.
  void try_everything() {
    for (const size_t seed : hard_) {
      Set stance = {seed};
      for (const size_t place : std::ranges::reverse_view(hard_)) {
        const Set more = with(stance, place);
        if (is_consistent(more) && allocated(more) < allocated(stance)) stance = more;
      }
      const Set all = strongest(stance);
      if (may_fit(allocated(all)) && !contains_one_that_fits(all) && confirm(all)) accept(stance, all);
    }
  }

  /// Of the soft changes those that do anything here: alone, or where all are made.
  std::vector<size_t> useful(const Set& stance, const Set& all) {
    std::vector<size_t> found;
    const int64_t alone = allocated(stance);
    for (const size_t place : soft_) {
      const bool is_in = std::find(all.begin(), all.end(), place) != all.end();
      if (is_in || allocated(with(stance, place)) < alone) found.push_back(place);
    }
    return found;
  }

  /// Sets of those changes added to the stance, the cheapest first.
  std::vector<Set> sets_of(const Set& stance, const std::vector<size_t>& places) const {
    std::vector<Set> sets = {stance};
    for (const size_t place : places)
      for (size_t i = 0, count = sets.size(); i < count && sets.size() < 4096; ++i)
        if (Set more = with(sets[i], place); is_consistent(more)) sets.push_back(std::move(more));
    sort_by(sets, [&](const Set& set) { return weight_of(set); });
    return sets;
  }

  void try_stance(const Set& stance) {
    const Set all = strongest(stance);
    if (!may_fit(allocated(all))) return;
    size_t misses = 0;
    for (const Set& set : sets_of(stance, useful(stance, all))) {
      if (misses >= kReplaysOfStance || advice_.tried >= reach_.tries) break;
      if (contains_one_that_fits(set)) return;
      if (!may_fit(allocated(set))) continue;
      if (confirm(set)) return accept(stance, set);
      ++misses;
    }
    if (misses > 0 && confirm(all)) accept(stance, all);
  }

  void accept(const Set& stance, const Set& set) {
    answered_.push_back(stance);
    fitting_.push_back(set);
  }

  /// Adds the set where the replay says that it fits, if need be with segments that expand.
  bool confirm(const Set& set) {
    if (add(set, {})) return true;
    const Change segments = {"segments", "--alloc-conf expandable_segments:True", Cost::kNothing, 1,
                             "segments grow, so that less is lost between blocks; as fast"};
    const bool given = std::any_of(values_.begin(), values_.end(), [](const OptionValue& value) {
      return value.name == "alloc-conf" || value.name == "reserved";
    });
    return !given && add(set, {segments});
  }

  bool add(const Set& set, std::vector<Change> beside) {
    for (const size_t i : set) beside.push_back(changes_[i]);
    std::optional<Suggestion> made = suggestion_of(std::move(beside));
    if (!made || !made->verdict.fits) return false;
    advice_.suggestions.push_back(std::move(*made));
    return true;
  }

  /// The suggestion of changes as estimate() has it.
  std::optional<Suggestion> suggestion_of(std::vector<Change> changes) {
    OptionValues values = values_;
    for (const Change& change : changes) values = changed_options(std::move(values), change);
    const std::optional<Request> request = request_of(values);
    if (!request) return std::nullopt;
    ++replays_;
    const Result<Report> report = estimate(request->job, request->gpu, request->allocator, request->headroom_bytes);
    if (!report) return std::nullopt;
    Suggestion made;
    for (const Change& change : changes) {
      made.cost = std::max(made.cost, change.cost);
      made.weight += change.weight;
    }
    sort_by(changes, [](const Change& change) { return -change.weight; });
    made.changes = std::move(changes);
    made.device = report->device;
    made.verdict = *report->fits;
    for (const std::string& warning : request->warnings)
      if (!is_known(warning)) made.warnings.push_back(warning);
    made.command = command_line(model_, values);
    const std::optional<double> seconds = seconds_of_token(*request);
    if (seconds && seconds_) made.slowdown = *seconds / *seconds_;
    made.pages = request->job.recipe.optimizer != nullptr && request->job.recipe.optimizer->pages;
    return made;
  }

  /// The card with least memory on which the job fits as it was asked.
  void add_larger_card() {
    std::vector<const Gpu*> cards;
    for (const Gpu& card : gpus())
      if (card.memory_bytes > gpu().memory_bytes && card.compute_capability >= gpu().compute_capability &&
          card.name.find("g.") == std::string_view::npos)
        cards.push_back(&card);
    sort_by(cards, [](const Gpu* card) { return card->memory_bytes; });
    for (const Gpu* card : cards) {
      if (in_segments(advice_.report.block_bytes) + likely_context(*card) > card->memory_bytes) continue;
      const Change change = {"card", "--gpu " + std::string(card->name), Cost::kCards, 42,
                             "a card of " + in_binary_units(card->memory_bytes)};
      std::optional<Suggestion> made = suggestion_of({change});
      if (!made || !made->verdict.fits) continue;
      advice_.suggestions.push_back(std::move(*made));
      return;
    }
  }

  void set_nearest() {
    std::vector<Change> changes;
    for (const size_t i : nearest_) changes.push_back(changes_[i]);
    advice_.nearest = suggestion_of(std::move(changes));
  }

  const NamedConfig* model_;
  const OptionValues& values_;
  const Reach reach_;
  Advice& advice_;
  std::vector<Change> changes_;
  std::optional<double> seconds_;  // a token's, of the job as it was asked
  std::vector<size_t> hard_;
  std::vector<size_t> soft_;
  std::map<Set, int64_t> allocated_;
  std::vector<Set> fitting_;   // sets that fit
  std::vector<Set> answered_;  // their stances
  Set nearest_;
  int64_t nearest_bytes_ = kNoJob;
  int64_t replays_ = 0;
};

}  // namespace

Result<Advice> advise(const NamedConfig* model, const OptionValues& values, const Reach& reach) {
  Result<Request> request = make_request(model, values, Command::kEstimate);
  if (!request) return request.error();
  if (request->gpu == nullptr) return Error{"--gpu", "is missing", "peakmem gpus lists those that are known"};
  Result<Report> report = estimate(request->job, request->gpu, request->allocator, request->headroom_bytes);
  if (!report) return report.error();
  Advice advice;
  advice.request = std::move(*request);
  advice.report = std::move(*report);
  if (!advice.report.fits->fits) Search(model, values, reach, advice).run();
  return advice;
}

}  // namespace peakmem
