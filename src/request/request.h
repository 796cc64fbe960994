// From what a face was asked (a model and options) to a job that can be estimated.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device/allocator.h"
#include "device/gpu.h"
#include "estimate/launch_notes.h"
#include "request/lengths.h"
#include "request/named_config.h"
#include "request/options.h"
#include "size/print.h"
#include "train/step.h"

namespace peakmem {

/// A question that can be answered: the job, the GPU if one was named, and what was taken for granted.
struct Request {
  std::string name;
  Job job;
  const Gpu* gpu = nullptr;
  std::shared_ptr<const Gpu> own_gpu;                              // what `gpu` points to where the table's is changed
  int64_t gpu_count = 1;                                           // cards that were named, a rank on each
  std::optional<AllocatorOptions> allocator = AllocatorOptions{};  // to replay; none: what it reserves is only bounded
  int64_t headroom_bytes = 0;                                      // of the GPU, to stay free
  Letters letters;                                                 // of the formulas
  std::vector<BatchLength> lengths;  // of batches, where rows differ; the job's is the last
  std::vector<std::string> assumptions;
  std::vector<std::string> warnings;
  LaunchNotes launch;  // empty where no launch file was read
};

/// The request about `model`, or about the model that --layers, --heads and --hidden describe where it is null.
/// Checks the options first.
Result<Request> make_request(const NamedConfig* model, const OptionValues& values, Command command);

/// A choice as asked; else its default, which is then an assumption of the request.
std::string_view read_choice(const Options& asked, Request& request, std::string_view name);

}  // namespace peakmem
