// The modules of a model under ZeRO 3, as DeepSpeed's hooks see them: each call of one asks for the parameters of its
// own, not for those of modules within it (0.19.8, runtime/zero/parameter_offload.py, iter_params).
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "trace/tape.h"

namespace peakmem {

/// All parameters, trained or not, in the order they were made (DeepSpeed's ds_id).
std::vector<Parameter> all_parameters(const Tape& tape);

/// Which module has which parameters; a module is a scope in a unit, for layers share their scopes.
class ZeroModules {
 public:
  /// One without parameters, whichever.
  static constexpr int32_t kEmpty = -1;
  /// What is no module: a function that the trace has a scope for.
  static constexpr int32_t kNone = -2;

  /// Those of a model that has been built.
  explicit ZeroModules(const Tape& tape);
  /// The module that a scope is, where `unit` runs: of a linear layer with adapters PEFT's, whose parameters are its
  /// base layer's.
  int32_t find(int32_t scope, int32_t unit) const;
  int32_t find_base(int32_t scope, int32_t unit) const;
  /// The whole model, which has none of its own until it is given one that it takes from a module within
  /// (register_external_parameter).
  void add_model();
  void give_model(size_t parameter);
  /// Its parameters, by place among all, ascending.
  const std::vector<size_t>& parameters(int32_t module) const;

 private:
  bool is_module(int32_t scope) const;
  void add(int32_t scope, int32_t unit, size_t parameter);

  const Tape& tape_;
  std::vector<bool> holds_;                                 // by scope: a parameter, or a module that does
  std::vector<bool> is_adapted_;                            // by scope
  std::map<std::pair<int32_t, int32_t>, int32_t> modules_;  // by unit and scope
  std::vector<std::vector<size_t>> parameters_;             // by module
  std::vector<size_t> nothing_;                             // of one without
};

}  // namespace peakmem
