// The parts of a model of text and images: their configs within its own, and what encodes its images.
#pragma once

#include <initializer_list>

#include "family/family.h"
#include "model/sight.h"

namespace peakmem {

/// Its configs have sizes in either part, so that none is the model's.
inline constexpr SizeNames kSizesOfParts = {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};

/// A part's config, which `read` reads.
Description read_part(Fields& fields, const char* name, Description (*read)(Fields& part));
/// Reads `text_config` as its family does, which is one of these; the first where the config does not say.
Description read_text_part(Fields& fields, std::initializer_list<std::string_view> families);
/// Reads `vision_config` into the description's tower, which is of that `model_type` where the config does not say.
void read_tower(Fields& fields, Description& description, const Sight& sight, std::string_view otherwise);
/// What encodes the images of a model, its parameters under `name`; the call follows what the model is run on.
TowerCall make_tower(const Builder& b, const char* name);

}  // namespace peakmem
