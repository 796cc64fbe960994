#include "estimate/module_work.h"

#include <map>

#include "size/order.h"

namespace peakmem {
namespace {

/// A storage's module: of a gradient its parameter's.
std::string module_of(const Program& program, const Storage& storage) {
  int32_t scope = storage.scope;
  if (storage.category == Category::kGradients) scope = program.scopes[static_cast<size_t>(scope)].parent;
  return program.path(scope);
}

}  // namespace

std::vector<ModuleWork> module_work(const Program& program, const std::vector<OpWork>& ops) {
  std::map<std::string, ModuleWork> modules;
  for (const OpWork& op : ops) {
    if (op.what == OpClass::kMemory) continue;
    ModuleWork& module = modules[module_of(program, program.storages[static_cast<size_t>(op.storage)])];
    module.flops[static_cast<size_t>(op.pass)] += op.times * op.flops;
    module.bytes += op.times * op.bytes;
  }
  std::vector<ModuleWork> sorted;
  for (auto& [name, module] : modules) {
    module.name = name.empty() ? "the model itself" : name;
    sorted.push_back(std::move(module));
  }
  sort_by(sorted, [](const ModuleWork& module) { return -module.total(); });
  return sorted;
}

}  // namespace peakmem
