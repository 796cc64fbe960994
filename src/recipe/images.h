// Images of any size in a model of text and images (Qwen2-VL): how many tokens stand for each is the run's choice.
#pragma once

#include "model/description.h"

namespace peakmem {

/// Whether images may be of any size, which are then seen one by one.
bool takes_any_size(const Description& description);
/// So many tokens of the sequence stand for each image: its tower has as many patches.
void show_images(Description& description, int64_t tokens);

}  // namespace peakmem
