// Which of a mixture's experts gets more tokens than the others.
#pragma once

#include "train/step.h"

namespace peakmem {

/// The place in the loop where a busy expert needs most memory: the last, whose backward pass finds what all others
/// keep, or the one before it, which finds the last one's gradient of the weights besides.
int64_t worst_place(Job job);

}  // namespace peakmem
