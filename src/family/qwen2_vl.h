// What encodes the images of Qwen2-VL and Qwen2.5-VL (transformers 5.23, models/qwen2_vl/modeling_qwen2_vl.py and
// models/qwen2_5_vl/modeling_qwen2_5_vl.py): images of any size, their patches in a row.
#pragma once

#include "family/towers.h"

namespace peakmem {

/// Qwen2VisionTransformerPretrainedModel: every image sees itself.
TowerCall make_qwen2_vl_tower(const Builder& b);
Description read_qwen2_vl_tower(Fields& fields);

/// Qwen2_5_VisionTransformerPretrainedModel: in most layers only the patches of a window see each other.
TowerCall make_qwen2_5_vl_tower(const Builder& b);
Description read_qwen2_5_vl_tower(Fields& fields);

}  // namespace peakmem
