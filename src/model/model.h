// A model that can run its forward pass on a tape.
#pragma once

#include <memory>

#include "model/heads.h"
#include "model/modules.h"

namespace peakmem {

/// One architecture with one head, its parameters made.
class Model {
 public:
  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model() = default;

  /// model(**batch); everything else the forward pass named is gone when it returns.
  virtual ModelOutput forward(const Batch& batch) = 0;
};

}  // namespace peakmem
