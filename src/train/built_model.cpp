#include "train/built_model.h"

#include <algorithm>

#include "model/adapted_parameter.h"

namespace peakmem {
namespace {

std::vector<std::string> modules_of(const std::string& path) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    names.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

/// Whether PEFT's rule, that a module's name ends so, finds modules outside of the layers, none within another.
bool can_be_saved(const std::string& name, const std::vector<std::string>& paths) {
  return std::all_of(paths.begin(), paths.end(), [&](const std::string& path) {
    const std::vector<std::string> modules = modules_of(path);
    const auto found = std::count_if(modules.begin(), modules.end(), [&](const auto& m) { return m.ends_with(name); });
    const bool in_layer = std::find(modules.begin(), modules.end(), "*") != modules.end();
    return found <= (in_layer ? 0 : 1);
  });
}

/// Builds the model on `tape` and gives `read` a look at it before it goes.
template <class Read>
void build(Tape& tape, const Job& job, bool unrolled, Read read) {
  const Structure structure = structure_of(job, unrolled);
  const Dims dims = number_dims(job);
  tape.begin_phase(0, -1, "model");
  const auto model = find_family(job.description.family)->build({tape, job.description, dims, structure});
  read();
}

BuiltParameter described(const Program& program, const Weight& weight, const Tensor& value) {
  BuiltParameter described = {
      .name = program.name(weight.scope, weight.layer), .sizes = {}, .dtype = value.dtype(), .trained = weight.trained};
  for (int i = 0; i < value->shape->rank; ++i) described.sizes.push_back((*value->shape)[i].number());
  return described;
}

}  // namespace

Program built(const Job& job, bool unrolled) {
  Tape tape;
  build(tape, job, unrolled, [] {});
  return tape.finish();
}

std::vector<BuiltParameter> parameters_of(const Job& job) {
  std::vector<BuiltParameter> all;
  Tape tape;
  build(tape, job, true, [&] {
    auto trained = tape.parameters.begin();  // these two in the order of the weights
    auto frozen = tape.frozen.begin();
    for (const Weight& weight : tape.program.weights)
      all.push_back(described(tape.program, weight, (weight.trained ? *trained++ : *frozen++).value));
  });
  return all;
}

std::vector<std::string> linear_modules(const Job& job) {
  Job adapted = job;
  adapted.recipe.lora = {.rank = 1, .targets = {}, .saved = {}};
  const Program program = built(adapted);
  const MixtureTargets* mixture = mixture_targets(job.description.family, job.recipe.transformers);
  std::vector<std::string> names;
  const auto add = [&](std::string_view name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
  };
  for (const ScopeName& scope : program.scopes) {
    if (std::string_view(scope.name) != "lora_A") continue;
    const std::string_view name = Lora::last_name(program.scopes[static_cast<size_t>(scope.parent)].name);
    if (mixture == nullptr || name != "experts") {
      add(name);
      continue;
    }
    for (const std::string_view module : {mixture->gate, mixture->up, mixture->down}) add(module);
  }
  return names;
}

std::vector<std::string> modules_to_save(const Job& job) {
  Program program = built(job);
  std::vector<std::string> paths;  // of parameters' modules
  for (const Weight& weight : program.weights) {
    const std::string path = program.path(program.scopes[static_cast<size_t>(weight.scope)].parent);
    if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.push_back(path);
  }
  const Task task = job.description.task;
  if ((task == Task::kCausalLm || task == Task::kImageTextToText) && job.description.tied)
    paths.emplace_back("lm_head");
  std::vector<std::string> names;
  for (const std::string& path : paths)
    for (const std::string& name : modules_of(path))
      if (can_be_saved(name, paths) && std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(name);
  return names;
}

bool divides_outside_layers(const Job& job) {
  Tape tape;
  build(tape, job, false, [] {});
  return tape.outer.units[static_cast<size_t>(Outer::kEmbedding)] != 0;
}

bool quantizes_linear_layers(const Job& job) {
  const Program program = built(job);
  return std::any_of(program.storages.begin(), program.storages.end(), [](const Storage& storage) {
    return storage.category == Category::kWeights && size_of(storage.dtype) == 1;
  });
}

}  // namespace peakmem
