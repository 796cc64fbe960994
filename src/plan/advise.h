// What would make a job fit.
#pragma once

#include "estimate/report.h"
#include "plan/changes.h"

namespace peakmem {

/// A set of changes with which the job fits; none of them could be left out.
struct Suggestion {
  std::vector<Change> changes;
  Cost cost = Cost::kNothing;  // of the dearest
  int weight = 0;              // of all together, by which suggestions are ordered
  Range device;                // as estimate() has it
  Verdict verdict;
  std::optional<double> slowdown;     // a rank's time a token over that of the job as it was asked: an estimate
  bool pages = false;                 // and pages that go to the host are not in it
  std::vector<std::string> warnings;  // that the changes bring
  std::string command;                // the command line with the changes made
};

/// The answer. `suggestions` are ordered by what they cost; where nothing that was tried fits, `nearest` is the set
/// that needs least.
struct Advice {
  Request request;
  Report report;  // of the job as it was asked
  std::vector<Suggestion> suggestions;
  std::optional<Suggestion> nearest;
  int64_t tried = 0;  // sets of changes
};

/// How far it is looked: so many suggestions, so many sets that are traced.
struct Reach {
  size_t suggestions = 8;
  int64_t tries = 3000;
};
inline constexpr Reach kBriefly = {4, 500};  // behind another answer

/// The smallest sets of changes that make the job of `values` fit on its GPU, as far as `reach`. Changes that cost
/// quality or cards are tried in sets of up to three; with each, those that cost nothing or time are added as few as
/// are needed. What is allocated is traced for every set; those that may fit by it are replayed, so that estimate()
/// says the same of the command.
Result<Advice> advise(const NamedConfig* model, const OptionValues& values, const Reach& reach = {});

}  // namespace peakmem
