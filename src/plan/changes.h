// Changes of a recipe that need less memory: what each asks for, and what it costs.
#pragma once

#include <string>
#include <vector>

#include "request/request.h"

namespace peakmem {

/// What a change is paid with, the cheapest first.
enum class Cost : uint8_t { kNothing, kTime, kCards, kQuality };
std::string_view name_of(Cost cost);

/// A change: at most one of a group is made. `flags` are the options that it sets, in place of those given. Changes of
/// a kind differ in a number, of which the mildest that does is enough.
struct Change {
  std::string group;
  std::string flags;  // "--checkpointing full"
  Cost cost = Cost::kNothing;
  int weight = 1;   // by which changes are ordered, the cheapest first
  std::string why;  // what it does and what it costs, in words
  std::string kind = group;
};

/// Changes for the request that `values` make, each group from the mildest to the strongest. Whether one can be asked
/// for is for make_request() to say.
std::vector<Change> changes_for(const Request& request, const OptionValues& values);

/// Whether at most one of them can be made: they are of a group, or set the same option.
bool contradict(const Change& a, const Change& b);

/// `values` with the change's options in place of those that they replace.
OptionValues changed_options(OptionValues values, const Change& change);

/// The command line of a model and options; empty of a trace, the name of whose file is not known.
std::string command_line(const NamedConfig* model, const OptionValues& values);

}  // namespace peakmem
