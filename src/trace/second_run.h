// The surroundings of a checkpointed call that runs again.
#pragma once

#include <utility>

#include "trace/tape.h"

namespace peakmem {

/// The surroundings of the forward pass, restored while the layer runs again and put back afterwards.
class SecondRun {
 public:
  SecondRun(Tape& tape, int32_t scope, bool autocast)
      : tape_(tape),
        scope_(std::exchange(tape.scope, scope)),
        grad_mode_(std::exchange(tape.grad_mode, true)),
        category_(std::exchange(tape.category, Category::kActivations)),
        autocast_(std::exchange(tape.autocast.enabled, autocast)) {
    tape.runs_again = true;
  }
  ~SecondRun() {
    tape_.runs_again = false;
    tape_.autocast.cache.clear();  // its autocast region ends
    tape_.autocast.enabled = autocast_;
    tape_.category = category_;
    tape_.grad_mode = grad_mode_;
    tape_.scope = scope_;
  }
  SecondRun(const SecondRun&) = delete;
  SecondRun& operator=(const SecondRun&) = delete;

 private:
  Tape& tape_;
  int32_t scope_;
  bool grad_mode_;
  Category category_;
  bool autocast_;
};

}  // namespace peakmem
