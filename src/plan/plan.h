// The plans that fit, ranked by how long a step takes.
#pragma once

#include <map>

#include "estimate/report.h"
#include "estimate/step_time.h"
#include "plan/plan_space.h"

namespace peakmem {

/// A plan that was looked at: its memory is estimate()'s of its command, its time step_time()'s.
struct PlanRow {
  int64_t id = 0;
  std::vector<std::string> choices;  // by axis
  std::string command;               // the command line that asks for the same
  OptionValues options;
  int64_t allocated_bytes = 0;
  Range device;
  Verdict verdict;
  StepTime time;
};

/// How many plans of the space came to what.
struct PlanCounts {
  int64_t legal = 0;
  int64_t may_fit = 0;                   // by what is allocated; of these some are replayed
  int64_t replayed = 0;                  // whose reserved memory was asked for
  std::map<std::string, int64_t> rules;  // of those that are none: by the rule that forbids them
};

/// The answer. `top` are the quickest of those that fit, `front` those that no other one beats in both memory and
/// time; where none fits `nearest` needs least.
struct Plans {
  std::string model;
  std::string gpu;  // its title
  int64_t cards = 1;
  int64_t global_batch = 0;
  int64_t capacity_bytes = 0;
  PlanSpace space;
  PlanCounts counts;
  std::vector<PlanRow> top;
  std::vector<PlanRow> front;
  std::optional<PlanRow> nearest;
  std::string bound;  // why nothing can fit, where that is known before any plan is looked at
  std::vector<std::string> assumptions;
};

/// Why a plan is not the first: the rule that forbids it, what it lacks, or the plans beside it that do better.
struct PlanReason {
  std::optional<Error> rule;    // it is no job
  std::optional<PlanRow> plan;  // else what it comes to
  std::vector<PlanRow> better;  // that differ in one choice, fit, and are quicker (or fit, where it does not)
};

/// Every plan of the question in `values` (--gpus, --global-batch, --allow, --top), the quickest that fit first.
/// Memory does not grow with the space: a plan is forgotten unless it is among the best so far.
Result<Plans> find_plans(const NamedConfig* model, const OptionValues& values);

/// The space of the question in `values`.
Result<PlanSpace> space_of(const NamedConfig* model, const OptionValues& values);

/// The plan of that number.
Result<PlanReason> explain_plan(const NamedConfig* model, const OptionValues& values, int64_t id);

/// Reads a plan's number, which must be within the space.
Result<int64_t> parse_plan_id(std::string_view text, const PlanSpace& space, std::string_view field);

}  // namespace peakmem
