// What encodes the images of Qwen2-VL, Qwen2.5-VL and Qwen3-VL (transformers 5.23, modeling_*.py of models/qwen2_vl,
// models/qwen2_5_vl and models/qwen3_vl): images of any size, their patches in a row.
#pragma once

#include "family/towers.h"

namespace peakmem {

/// Qwen2VisionTransformerPretrainedModel: every image sees itself.
TowerCall make_qwen2_vl_tower(const Builder& b);
Description read_qwen2_vl_tower(Fields& fields);

/// Qwen2_5_VisionTransformerPretrainedModel: in most layers only the patches of a window see each other.
TowerCall make_qwen2_5_vl_tower(const Builder& b);
Description read_qwen2_5_vl_tower(Fields& fields);

/// Qwen3VLVisionModel: every image sees itself, and what some layers give is handed on besides.
TowerCall make_qwen3_vl_tower(const Builder& b);
Description read_qwen3_vl_tower(Fields& fields);

}  // namespace peakmem
