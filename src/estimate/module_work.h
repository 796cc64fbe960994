// What each module of a model computes in a step.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "estimate/op_work.h"

namespace peakmem {

/// What a module computes in a step, in floating-point operations.
struct ModuleWork {
  std::string name;  // "model.layers.*.mlp.up_proj"
  std::array<double, kPasses> flops = {};
  double bytes = 0;  // read and written
  double total() const { return flops[0] + flops[1] + flops[2] + flops[3]; }
};

/// Names of the members of `flops`, as JSON has them.
inline constexpr std::array<std::string_view, kPasses> kFlopsNames = {"forward_flops", "backward_flops", "again_flops",
                                                                      "update_flops"};

/// The modules that multiply, the most first. `ops`: of steady_work().
std::vector<ModuleWork> module_work(const Program& program, const std::vector<OpWork>& ops);

}  // namespace peakmem
