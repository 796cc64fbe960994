// Bytes for people: GiB is 2^30 and GB is 10^9, here and everywhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "size/result.h"

namespace peakmem {

/// `1.50 GiB`, with the largest of B, KiB, MiB, GiB, TiB, PiB, EiB that leaves at least 1.
std::string in_binary_units(int64_t bytes);
/// `1024.00 MiB`, `6.14 GiB`, `512 bytes`: as PyTorch's messages have it, which go on to the next unit only past 1024
/// (format_size of CUDACachingAllocator.cpp, torch 2.13).
std::string as_pytorch_prints(int64_t bytes);
/// `1.61 GB`, with the largest of B, kB, MB, GB, TB, PB, EB that leaves at least 1.
std::string in_decimal_units(int64_t bytes);
/// `6,291,456`.
std::string grouped(int64_t number, std::string_view separator = ",");
/// A share as `12.3 %`; `n/a` if it is no number.
std::string percent(double share, int decimals = 1);

/// Bytes from `80GiB`, `24 GB`, `512MiB`, `1.5e9`, `1_000_000`; parts of a byte are rounded. `field` names in an error
/// where the text comes from. A bare `80G` is refused, since it could mean either, and so is `Gb`, which means bits.
Result<int64_t> parse_bytes(std::string_view text, std::string_view field = {});

}  // namespace peakmem
