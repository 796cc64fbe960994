#include "layout/zero_modules.h"

#include <algorithm>
#include <string_view>

namespace peakmem {
namespace {

/// Modules without parameters that the trace has a scope for.
constexpr std::string_view kRotary = "rotary_emb";
constexpr std::string_view kAdapter = "lora_A";

int32_t parent_of(const Tape& tape, int32_t scope) { return tape.program.scopes[static_cast<size_t>(scope)].parent; }

}  // namespace

std::vector<Parameter> all_parameters(const Tape& tape) {
  std::vector<Parameter> all;
  auto trained = tape.parameters.begin();
  auto frozen = tape.frozen.begin();
  for (const Weight& weight : tape.program.weights) all.push_back(weight.trained ? *trained++ : *frozen++);
  return all;
}

ZeroModules::ZeroModules(const Tape& tape)
    : tape_(tape), holds_(tape.program.scopes.size()), is_adapted_(tape.program.scopes.size()) {
  for (const ScopeName& scope : tape.program.scopes)
    if (scope.name == kAdapter) is_adapted_[static_cast<size_t>(scope.parent)] = true;
  const std::vector<Parameter> all = all_parameters(tape);
  for (size_t i = 0; i < all.size(); ++i) add(parent_of(tape, all[i].scope), all[i].unit, i);
  for (const SharedParameter& shared : tape.shared)
    for (size_t i = 0; i < all.size(); ++i)
      if (all[i].value.get() == shared.value.get()) add(shared.scope, 0, i);
}

void ZeroModules::add(int32_t scope, int32_t unit, size_t parameter) {
  const auto [at, is_new] = modules_.try_emplace({unit, scope}, static_cast<int32_t>(parameters_.size()));
  if (is_new) parameters_.emplace_back();
  std::vector<size_t>& own = parameters_[static_cast<size_t>(at->second)];
  own.insert(std::lower_bound(own.begin(), own.end(), parameter), parameter);
  for (int32_t each = scope; each >= 0; each = parent_of(tape_, each)) holds_[static_cast<size_t>(each)] = true;
}

void ZeroModules::add_model() {
  if (modules_.try_emplace({0, 0}, static_cast<int32_t>(parameters_.size())).second) parameters_.emplace_back();
}

void ZeroModules::give_model(size_t parameter) {
  const std::vector<size_t>& own = parameters(modules_.at({0, 0}));
  if (std::find(own.begin(), own.end(), parameter) == own.end()) add(0, 0, parameter);
}

bool ZeroModules::is_module(int32_t scope) const {
  const auto place = static_cast<size_t>(scope);
  return (place < holds_.size() && holds_[place]) || tape_.program.scopes[place].name == kRotary;
}

int32_t ZeroModules::find(int32_t scope, int32_t unit) const {
  if (scope == Hooks::kNameless) return kEmpty;
  if (static_cast<size_t>(scope) < is_adapted_.size() && is_adapted_[static_cast<size_t>(scope)]) return kEmpty;
  const auto found = modules_.find({unit, scope});
  if (found != modules_.end()) return found->second;
  return is_module(scope) ? kEmpty : kNone;
}

int32_t ZeroModules::find_base(int32_t scope, int32_t unit) const {
  const auto found = modules_.find({unit, scope});
  return found != modules_.end() ? found->second : kEmpty;
}

const std::vector<size_t>& ZeroModules::parameters(int32_t module) const {
  return module < 0 ? nothing_ : parameters_[static_cast<size_t>(module)];
}

}  // namespace peakmem
