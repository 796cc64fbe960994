#include "estimate/moment.h"

#include <map>
#include <utility>

namespace peakmem {

// Storages of one size are counted before they are multiplied: a trace has hundreds of storages and some dozen sizes.
Expr live_bytes(const Program& program, const Moment& at, const Which& which) {
  const std::vector<Expr> counts = live_counts(program, at);
  std::map<std::pair<bool, int64_t>, std::pair<Expr, Expr>> by_size;  // (size, count)
  for (size_t i = 0; i < counts.size(); ++i) {
    const Storage& storage = program.storages[i];
    if (identical(counts[i], 0) || storage.category == Category::kWorkspace || !which(storage)) continue;
    const Expr bytes = storage.bytes;
    auto& [size, count] = by_size[{bytes.is_formula(), bytes.is_formula() ? bytes.node() : bytes.number()}];
    size = bytes;
    count += counts[i];
  }
  Expr sum = 0;
  for (const auto& [key, sized] : by_size) sum += sized.second * sized.first;
  return sum;
}

Expr live_bytes(const Program& program, const Moment& at) {
  return live_bytes(program, at, [](const Storage&) { return true; });
}

Moment before_phase(const Program& program, int32_t step, std::string_view phase) {
  Moment found;
  for (size_t i = 0; i < program.phases.size(); ++i)
    if (program.phases[i].step == step && program.phases[i].name == phase) found.phase = static_cast<int32_t>(i);
  return found;
}

bool is_saved(const Storage& storage) {
  return storage.category == Category::kActivations && storage.saved_by != nullptr;
}

bool in_layers(const Program& program, const Storage& storage) {
  return program.turns[static_cast<size_t>(storage.turn)].repeat != 0;
}

bool is_state(const Storage& storage) {
  return storage.category == Category::kWeights || storage.category == Category::kGradients ||
         storage.category == Category::kOptimizer;
}

}  // namespace peakmem
