// A model within a model: what encodes images beside a text model.
#pragma once

#include "model/modules.h"

namespace peakmem {

/// Sizes, structure and a builder of a part's own, on the same tape. What the whole is run on may change from training
/// to evaluation; `renew` follows it.
class Part {
 public:
  /// `rows`: sequences of the part for each of the whole's; each is `seq` long.
  Part(const Builder& whole, const Description& description, int64_t rows, int64_t seq);
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  const Builder& builder() const { return builder_; }
  void renew();

 private:
  const Builder& whole_;
  const Description& description_;
  int64_t rows_, seq_;
  Dims dims_;
  Structure structure_;
  Builder builder_;
};

}  // namespace peakmem
