// How a checkpoint's weights are stored, as its config or its name says: what bitsandbytes packed stays packed.
#pragma once

#include "request/request.h"

namespace peakmem {

/// The options with --quantize and --double-quant as `model` says them, unless --quantize is among them. Its config's
/// quantization_config is taken out (transformers 5.23, utils/quantization_config.py, BitsAndBytesConfig); a name that
/// ends in bnb-4bit says nf4, double quantized. Refused are other ways to store weights, by name.
Result<OptionValues> stored_options(NamedConfig& model, const OptionValues& values,
                                    std::vector<std::string>& assumptions);

}  // namespace peakmem
