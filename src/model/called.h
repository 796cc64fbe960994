// Calls of modules that the trace has no scope for, of which a wrapper is told all the same.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// PEFT's base layer within the module that has it beside a pair of adapters, whose scope stands for both.
inline constexpr int32_t kBaseLayer = -2;

/// A module's call; ends with the C++ scope.
class Called {
 public:
  explicit Called(Tape& tape, int32_t scope = Hooks::kNameless) : tape_(tape), scope_(scope) {
    if (tape_.hooks != nullptr) tape_.hooks->before_module(scope_);
  }
  ~Called() {
    if (tape_.hooks != nullptr) tape_.hooks->after_module(scope_);
  }
  Called(const Called&) = delete;
  Called& operator=(const Called&) = delete;

 private:
  Tape& tape_;
  int32_t scope_;
};

}  // namespace peakmem
