// One job on many cards.
#pragma once

#include "plan/sought.h"

namespace peakmem {

/// A card: whether the job fits, and the largest (or smallest) value of what is sought; or why it is no question there.
struct CardRow {
  std::string gpu;
  std::string title;
  std::optional<Error> error;
  std::optional<Verdict> verdict;    // where a job is asked about
  Range device;                      // and what it takes there
  std::optional<Solution> solution;  // where something is sought
};

/// The cards in the order they were asked for. `sought` is empty where nothing is; of `--for gpu` it is "batch", and
/// every card has a verdict too.
struct Cards {
  std::string sought;
  Request request;  // on the first card that is one
  std::vector<CardRow> rows;
};

/// Every card of the table, the one with least memory first.
std::vector<std::string> all_cards();

/// The job on every card of `names`. `values` have neither --gpu nor --for.
Result<Cards> estimate_cards(const NamedConfig* model, const OptionValues& values,
                             const std::vector<std::string>& names);
/// What is sought on every card.
Result<Cards> solve_cards(const NamedConfig* model, const OptionValues& values, const std::vector<std::string>& names,
                          const std::string& sought);
/// Which card? The job on every card, and the largest batch that each holds.
Result<Cards> choose_card(const NamedConfig* model, const OptionValues& values, const std::vector<std::string>& names);

/// Whether the job, or any value of what is sought, fits on the card.
bool fits(const CardRow& row);

}  // namespace peakmem
