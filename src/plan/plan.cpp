#include "plan/plan.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "estimate/device.h"
#include "estimate/estimate.h"
#include "request/option_checks.h"
#include "request/recorded.h"
#include "size/bytes.h"
#include "size/order.h"
#include "size/wording.h"
#include "train/step.h"

namespace peakmem {
namespace {

constexpr int64_t kShown = 10;
constexpr size_t kMostRules = 64;
constexpr size_t kTogether = 65536;  // plans that are put in order before any is replayed
constexpr const char* kOtherRules = "other rules";

/// A plan as the trace has it, before the allocator is replayed.
struct Tried {
  Request request;
  int64_t allocated = 0;
  StepTime time;
};

/// Less is better; of two that are alike the one with the lower number.
bool is_quicker(const PlanRow& a, const PlanRow& b) {
  if (a.time.seconds.likely != b.time.seconds.likely) return a.time.seconds.likely < b.time.seconds.likely;
  if (a.device.likely != b.device.likely) return a.device.likely < b.device.likely;
  return a.id < b.id;
}

/// Asks about plans of a space one by one.
class Planner {
 public:
  Planner(const NamedConfig* model, const PlanQuestion& question, const PlanSpace& space)
      : model_(model), card_(*question.card.gpu), space_(space) {}

  Result<Tried> look_at(int64_t id) const {
    Result<Request> request = make_request(model_, options_at(space_, id), Command::kEstimate);
    if (!request) return request.error();
    const Program program = trace_step(request->job, number_dims(request->job));
    const Result<Levels> levels = peak_levels(program, request->gpu);
    if (!levels) return levels.error();
    StepTime time = step_time(request->job, program, card_);
    return Tried{std::move(*request), levels->allocated, std::move(time)};
  }

  /// The least that the device can need, by what is allocated.
  int64_t at_least(const Tried& tried) const { return in_segments(tried.allocated) + likely_context(card_); }
  bool may_fit(const Tried& tried) const {
    return at_least(tried) <= card_.memory_bytes - tried.request.headroom_bytes;
  }

  /// The plan as estimate() has it; nothing where that fails.
  std::optional<PlanRow> row_of(int64_t id, Tried tried) const {
    const Request& request = tried.request;
    const Result<Report> report = estimate(request.job, request.gpu, request.allocator, request.headroom_bytes);
    if (!report) return std::nullopt;
    PlanRow row;
    row.id = id;
    row.choices = choices_at(space_, id);
    row.options = options_at(space_, id);
    row.command = command_line(model_, row.options);
    row.allocated_bytes = report->allocated_bytes;
    row.device = report->device;
    row.verdict = *report->fits;
    row.time = std::move(tried.time);
    return row;
  }

 private:
  const NamedConfig* model_;
  const Gpu& card_;
  const PlanSpace& space_;
};

/// The best plans so far: a plan is replayed only where it could be among them, the quickest first, so that few are.
class Best {
 public:
  Best(const Planner& planner, Plans& plans, size_t shown) : planner_(planner), plans_(plans), shown_(shown) {}

  void offer(int64_t id) {
    const Result<Tried> tried = planner_.look_at(id);
    if (!tried) return count_rule(tried.error());
    ++plans_.counts.legal;
    if (!planner_.may_fit(*tried)) return note_miss(id, *tried);
    ++plans_.counts.may_fit;
    waiting_.push_back({id, tried->time.seconds.likely, planner_.at_least(*tried)});
    if (waiting_.size() == kTogether) replay_waiting();
  }

  /// Where nothing fits, what comes nearest.
  void finish() {
    replay_waiting();
    if (!plans_.top.empty()) return plans_.nearest.reset();
    if (missed_ < 0 || (plans_.nearest && plans_.nearest->device.likely <= missed_bytes_)) return;
    Result<Tried> tried = planner_.look_at(missed_);
    if (tried) plans_.nearest = planner_.row_of(missed_, std::move(*tried));
  }

 private:
  /// A plan that may fit: its seconds, and the least that the device can need.
  struct Waiting {
    int64_t id = 0;
    double seconds = 0;
    int64_t least_bytes = 0;
  };

  void replay_waiting() {
    sort_by(waiting_, [](const Waiting& plan) { return plan.seconds; });
    for (const Waiting& plan : waiting_)
      if (could_be_shown(plan.seconds) || could_be_on_front(plan.seconds, plan.least_bytes)) replay(plan.id);
    waiting_.clear();
  }

  void replay(int64_t id) {
    Result<Tried> tried = planner_.look_at(id);
    if (!tried) return;
    ++plans_.counts.replayed;
    const std::optional<PlanRow> row = planner_.row_of(id, std::move(*tried));
    if (!row) return;
    if (!row->verdict.fits) return note_nearest(*row);
    add_to_top(*row);
    add_to_front(*row);
  }

  void count_rule(const Error& error) {
    auto& rules = plans_.counts.rules;
    const std::string rule = error.field + " " + error.problem;
    ++rules[!rules.contains(rule) && rules.size() >= kMostRules ? kOtherRules : rule];
  }

  void note_miss(int64_t id, const Tried& tried) {
    const int64_t bytes = planner_.at_least(tried);
    if (bytes < missed_bytes_) missed_bytes_ = bytes, missed_ = id;
  }

  void note_nearest(const PlanRow& row) {
    if (!plans_.nearest || row.device.likely < plans_.nearest->device.likely) plans_.nearest = row;
  }

  bool could_be_shown(double seconds) const {
    return plans_.top.size() < shown_ || seconds <= plans_.top.back().time.seconds.likely;
  }

  /// Whether no plan of the front is both as quick and as small as this one can be.
  bool could_be_on_front(double seconds, int64_t least_bytes) const {
    return std::none_of(plans_.front.begin(), plans_.front.end(), [&](const PlanRow& other) {
      return other.time.seconds.likely <= seconds && other.device.likely <= least_bytes;
    });
  }

  void add_to_top(const PlanRow& row) {
    std::vector<PlanRow>& top = plans_.top;
    top.insert(std::upper_bound(top.begin(), top.end(), row, is_quicker), row);
    if (top.size() > shown_) top.pop_back();
  }

  void add_to_front(const PlanRow& row) {
    std::vector<PlanRow>& front = plans_.front;
    const auto beats = [](const PlanRow& a, const PlanRow& b) {
      return a.time.seconds.likely <= b.time.seconds.likely && a.device.likely <= b.device.likely;
    };
    if (std::any_of(front.begin(), front.end(), [&](const PlanRow& other) { return beats(other, row); })) return;
    std::erase_if(front, [&](const PlanRow& other) { return beats(row, other); });
    front.insert(std::upper_bound(front.begin(), front.end(), row, is_quicker), row);
  }

  const Planner& planner_;
  Plans& plans_;
  size_t shown_;
  std::vector<Waiting> waiting_;
  int64_t missed_ = -1;  // the plan that allocates least, of those that allocate too much
  int64_t missed_bytes_ = std::numeric_limits<int64_t>::max();
};

/// Bytes that a parameter takes on each card at least: its weights, packed or in half precision where that is allowed,
/// in as many shards as there are cards if any layout cuts them.
double least_bytes_of_parameter(const PlanQuestion& question, const PlanSpace& space) {
  bool packs = false;
  bool shards = false;
  const auto look = [&](std::string_view text) {
    packs = packs || text.find("quantize") != std::string_view::npos;
    shards = shards || text.find("fsdp") != std::string_view::npos || text.find("hsdp") != std::string_view::npos;
  };
  for (const PlanAxis& axis : space.axes)
    for (const std::string& choice : axis.choices) look(choice);
  for (const OptionValue& option : space.fixed) look(option.name);
  return (packs ? 0.5 : 2.0) / static_cast<double>(shards ? question.card.count : 1);
}

/// Says at once that the cards do not hold the weights.
std::string weights_bound(const NamedConfig* model, const PlanQuestion& question, const PlanSpace& space) {
  OptionValues values = question.options;
  std::erase_if(values, [](const OptionValue& value) {
    return value.name == "ddp" || value.name == "fsdp" || value.name == "hsdp" || value.name == "zero" ||
           value.name == "ranks";
  });
  const Result<Request> request = make_request(model, values, Command::kEstimate);
  if (!request) return {};
  const double parameters =
      static_cast<double>(trace_step(request->job, number_dims(request->job)).parameters.number());
  const double bytes = parameters * least_bytes_of_parameter(question, space);
  if (bytes <= static_cast<double>(question.card.gpu->memory_bytes)) return {};
  return "the weights alone take " + in_binary_units(static_cast<int64_t>(bytes)) + " of each card, which has " +
         in_binary_units(question.card.gpu->memory_bytes);
}

/// What a question about plans comes to before any is looked at.
struct Prepared {
  PlanQuestion question;
  PlanSpace space;
};

Result<Prepared> prepare(const NamedConfig* model, const OptionValues& values) {
  if (auto wrong = check_options(values, Command::kPlan, letter_names(model))) return *wrong;
  if (model != nullptr && model->recording)
    return Error{"MODEL", "is a trace, which has one recipe", "name the model to plan its training"};
  Result<PlanQuestion> question = read_plan_question(values);
  if (!question) return question.error();
  if (auto wrong = check_rates(*question->card.gpu, "--gpus")) return *wrong;
  Result<PlanSpace> space = plan_space(*question);
  if (!space) return space.error();
  return Prepared{std::move(*question), std::move(*space)};
}

}  // namespace

Result<Plans> find_plans(const NamedConfig* model, const OptionValues& values) {
  Result<Prepared> prepared = prepare(model, values);
  if (!prepared) return prepared.error();
  const PlanQuestion& question = prepared->question;
  Plans plans;
  plans.model = model == nullptr ? "" : model->name;
  plans.gpu = question.card.gpu->title;
  plans.cards = question.card.count;
  plans.global_batch = question.global_batch;
  plans.capacity_bytes = question.card.gpu->memory_bytes;
  plans.assumptions = question.assumptions;
  plans.space = std::move(prepared->space);
  plans.bound = weights_bound(model, question, plans.space);
  if (!plans.bound.empty()) return plans;
  const Planner planner(model, question, plans.space);
  Best best(planner, plans, static_cast<size_t>(Options(values).size("top").value_or(kShown)));
  for (int64_t id = 0; id < plans.space.size(); ++id) best.offer(id);
  best.finish();
  return plans;
}

Result<PlanSpace> space_of(const NamedConfig* model, const OptionValues& values) {
  Result<Prepared> prepared = prepare(model, values);
  if (!prepared) return prepared.error();
  return std::move(prepared->space);
}

Result<int64_t> parse_plan_id(std::string_view text, const PlanSpace& space, std::string_view field) {
  int64_t id = -1;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (problem == std::errc() && end == text.data() + text.size() && id >= 0 && id < space.size()) return id;
  return Error{std::string(field),
               "must be a plan's number, 0 to " + std::to_string(space.size() - 1) + ", is " + in_quotes(text),
               {}};
}

Result<PlanReason> explain_plan(const NamedConfig* model, const OptionValues& values, int64_t id) {
  const Result<Prepared> prepared = prepare(model, values);
  if (!prepared) return prepared.error();
  const Planner planner(model, prepared->question, prepared->space);
  PlanReason reason;
  Result<Tried> tried = planner.look_at(id);
  if (!tried) {
    reason.rule = tried.error();
  } else {
    reason.plan = planner.row_of(id, std::move(*tried));
  }
  for (const int64_t other : neighbours(prepared->space, id)) {
    Result<Tried> beside = planner.look_at(other);
    if (!beside || !planner.may_fit(*beside)) continue;
    const bool lacks = !reason.plan || !reason.plan->verdict.fits;
    if (!lacks && beside->time.seconds.likely > reason.plan->time.seconds.likely) continue;
    std::optional<PlanRow> row = planner.row_of(other, std::move(*beside));
    if (!row || !row->verdict.fits || (!lacks && !is_quicker(*row, *reason.plan))) continue;
    reason.better.insert(std::upper_bound(reason.better.begin(), reason.better.end(), *row, is_quicker), *row);
  }
  return reason;
}

}  // namespace peakmem
