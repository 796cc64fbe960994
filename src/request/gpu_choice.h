// What --gpu names: a card of the table, several of them, a card with more or less memory, or a plain capacity.
#pragma once

#include "request/request.h"

namespace peakmem {

/// A card by the words of an option: `gpu` lives as long as `own` where that is set, else as the table.
struct GpuChoice {
  const Gpu* gpu = nullptr;
  std::shared_ptr<const Gpu> own;
  int64_t count = 1;
  std::string assumption;  // what is taken for granted of it; empty where nothing is
};

/// `rtx-4090`, `NVIDIA A100-SXM4-80GB`, `rtx-4090:-1GiB` (with so much less, or +more), `24GiB`, `2xrtx-4090`.
Result<GpuChoice> parse_gpu(std::string_view text, std::string_view field = "--gpu");

/// The cards of a list "a,b,c".
std::vector<std::string> gpus_of(std::string_view list);

/// Reads --gpu into the request. With `several` cards the job must be one of as many ranks, but where the question is
/// how many there should be.
std::optional<Error> read_gpu(const Options& asked, Request& request);
std::optional<Error> check_gpu_count(const Options& asked, const Request& request);

}  // namespace peakmem
