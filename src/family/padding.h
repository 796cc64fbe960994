// The token that fills up short sequences: nn.Embedding takes only one that its vocabulary has.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "model/fields.h"
#include "model/model.h"

namespace peakmem {

/// What `pad_token_id` is where a config says nothing of it, for families whose own default is not among the first two
/// tokens (configuration_*.py of transformers 5.23); nothing where it is, or is null, or gives the embedding nothing.
std::optional<int64_t> usual_padding(std::string_view family);

/// Notes torch.nn.Embedding's assertion on what most families give it as padding_idx (torch/nn/modules/sparse.py).
void check_padding(Fields& fields, const Description& d);

}  // namespace peakmem
