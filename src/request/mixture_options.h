// What a mixture of experts makes of options that are about linear layers: in transformers 5 its experts are
// parameters.
#pragma once

#include <optional>

#include "request/options.h"
#include "request/request.h"

namespace peakmem {

/// Whether PEFT can adapt what --lora-targets names of a mixture.
std::optional<Error> check_mixture_adapters(const Job& job);
/// Says what adapters on experts cost.
void warn_of_adapted_experts(Request& request);
/// Says that quantization leaves the experts whole, and in which dtype.
void warn_of_whole_experts(Request& request);
/// What the grouped GEMM takes.
std::optional<Error> check_grouped(const Job& job);

}  // namespace peakmem
