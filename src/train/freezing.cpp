#include "train/freezing.h"

#include <algorithm>
#include <set>

#include "model/sight.h"
#include "size/nearest.h"
#include "size/order.h"
#include "size/wording.h"
#include "train/built_model.h"

namespace peakmem {
namespace {

constexpr int64_t kMostLayers = 10'000;  // each has its names compared

/// Names, each layer's parameters once: `model.layers.*.mlp.gate_proj.weight`.
std::vector<std::string> paths(const Program& program) {
  std::vector<std::string> paths;
  std::set<int32_t> seen;
  for (const Weight& weight : program.weights)
    if (seen.insert(weight.scope).second) paths.push_back(program.path(weight.scope));
  return paths;
}

std::string nearest_paths(const Program& program, const std::string& pattern) {
  std::vector<std::string> known = paths(program);
  constexpr size_t kShown = 4;
  sort_by(known, [&](const std::string& path) { return static_cast<int64_t>(edit_distance(pattern, path)); });
  std::string text;
  for (size_t i = 0; i < std::min(kShown, known.size()); ++i) text += (i == 0 ? "nearest: " : ", ") + known[i];
  return text;
}

std::optional<Error> check(const Program& program, const std::string& pattern, std::string_view field) {
  if (auto wrong = check_pattern(pattern, field)) return wrong;
  for (const Weight& weight : program.weights)
    if (matches(pattern, program.name(weight.scope, weight.layer))) return std::nullopt;
  return Error{std::string(field), in_quotes(pattern) + " is no parameter of this model",
               nearest_paths(program, pattern.substr(0, 60))};
}

/// What of each turn is frozen: parameters by their scope.
using Frozen = std::vector<std::vector<int32_t>>;

Frozen frozen_by_turn(const Program& program) {
  Frozen frozen(program.turns.size());
  for (const Weight& weight : program.weights)
    if (!weight.trained) frozen[static_cast<size_t>(weight.turn)].push_back(weight.scope);
  return frozen;
}

/// `turn` goes on past the runs' turns.
std::vector<LayerRun> split(const std::vector<LayerRun>& runs, const Frozen& frozen, size_t& turn) {
  std::vector<LayerRun> parts;
  for (const LayerRun& run : runs) {
    for (int64_t i = 0; i < run.turns(); ++i, ++turn) {
      if (i == 0 || frozen[turn] != frozen[turn - 1]) {
        parts.push_back(run);
        parts.back().layers = 0;
      }
      parts.back().layers += run.period;
    }
  }
  return parts;
}

}  // namespace

std::vector<std::string> parameter_names(const Job& job) {
  const Program program = built(job, true);
  std::vector<std::string> names;
  for (const Weight& weight : program.weights) names.push_back(program.name(weight.scope, weight.layer));
  return names;
}

std::optional<Error> freeze(Job& job, std::vector<std::string> patterns, std::string_view field) {
  if (patterns.empty()) return std::nullopt;
  Description& d = job.description;
  if (job.recipe.lora.rank > 0)
    return Error{field, "contradicts --lora-rank, which freezes everything but the adapters", "drop one of them"};
  if (std::max(d.layers, d.decoder_layers) > kMostLayers)
    return Error{std::string(field), "is not modelled past " + std::to_string(kMostLayers) + " layers", {}};
  const Program program = built(job, true);
  for (const std::string& pattern : patterns)
    if (auto wrong = check(program, pattern, field)) return wrong;
  job.recipe.freeze.patterns = std::move(patterns);
  const Frozen frozen = frozen_by_turn(built(job, true));
  size_t count = 0;
  for (const auto& scopes : frozen) count += scopes.size();
  if (count == program.weights.size())
    return Error{std::string(field), "leaves no parameter to train", "take a pattern away"};
  size_t turn = 1;  // 0 is what is in no layer
  const auto split_tower = [&] {
    Description tower = *d.tower;
    tower.runs = split(tower.runs, frozen, turn);
    d.tower = std::make_shared<const Description>(std::move(tower));
  };
  const bool text_first = d.tower && d.sight->text_first;
  if (d.tower && !text_first) split_tower();
  d.runs = split(d.runs, frozen, turn);
  d.decoder_runs = split(d.decoder_runs, frozen, turn);
  if (text_first) split_tower();
  return std::nullopt;
}

namespace {

/// The trained parameters that a step gives no gradient, in the order in which they are made.
std::vector<std::string> all_without_gradient(const Job& job) {
  const Program program = trace_step(job, number_dims(job));
  std::set<int32_t> have;
  for (const Storage& storage : program.storages)
    if (storage.category == Category::kGradients) have.insert(storage.scope);
  std::vector<std::string> names;
  for (const Weight& weight : program.weights)
    if (weight.trained && (weight.turn != 0 || have.empty()) && !have.contains(weight.scope))
      names.push_back(program.name(weight.scope, weight.layer));
  return names;
}

}  // namespace

std::string without_gradient(const Job& job) {
  Job alone = job;
  alone.recipe.ddp = {};
  alone.recipe.sharding = {};
  alone.recipe.kernels.norm = {};  // the foak plug-in's norm gives its weight no gradient, whatever is frozen
  const std::vector<std::string> lost = all_without_gradient(alone);
  if (lost.empty()) return {};
  alone.recipe.freeze = {};
  const std::vector<std::string> idle = all_without_gradient(alone);  // parameters of modules that never run
  const auto found =
      std::ranges::find_if(lost, [&](const std::string& name) { return std::ranges::find(idle, name) == idle.end(); });
  return found == lost.end() ? std::string() : *found;
}

}  // namespace peakmem
