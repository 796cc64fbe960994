#include "request/offer.h"

#include <algorithm>
#include <array>

namespace peakmem {
namespace {

/// Options that a change puts away beside its own.
constexpr std::array<std::array<std::string_view, 2>, 4> kPutAway = {{{"optimizer", "optimizer-impl"},
                                                                      {"optimizer", "rest-optimizer"},
                                                                      {"optimizer", "muon-matrices"},
                                                                      {"precision", "autocast"}}};

}  // namespace

bool can_be_asked(const NamedConfig* model, OptionValues values, const Request& request, std::string_view change) {
  const size_t space = change.find(' ');
  if (!change.starts_with("--") || space == std::string_view::npos) return true;
  const std::string_view name = change.substr(2, space - 2);
  drop_option(values, name);
  for (const auto& [of, beside] : kPutAway)
    if (of == name) drop_option(values, beside);
  values.push_back({std::string(name), std::string(change.substr(space + 1))});
  const Result<Request> changed = make_request(model, values, Command::kEstimate);
  return changed && changed->warnings.size() <= request.warnings.size();
}

}  // namespace peakmem
