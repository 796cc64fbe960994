// Any text as a trace file: refused with a reason, or a step that can be estimated, put in numbers and replayed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "estimate/estimate.h"
#include "estimate/formula.h"
#include "estimate/timeline.h"
#include "plan/grid.h"
#include "request/trace_file.h"

namespace {

constexpr size_t kMostFormulas = 50;  // of what is asked for its formula, which takes some time
constexpr size_t kMostEvents = 10000;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace peakmem;
  const auto recording = read_trace({reinterpret_cast<const char*>(data), size});
  if (!recording) {
    if (recording.error().problem.empty()) std::abort();
    return 0;
  }
  Job job;
  job.recording = *recording;
  job.letters = job.recording->values();
  if (job.recording->program.events.size() > kMostEvents) return 0;
  const Gpu* gpu = find_gpu("t4");
  const bool replays = can_be_replayed(*job.recording, job.letters);
  const std::optional<AllocatorOptions> allocator = replays ? std::optional(AllocatorOptions{}) : std::nullopt;
  const Result<Report> report = estimate(job, gpu, allocator);
  if (!report) std::abort();  // sizes were counted when it was read
  int64_t sum = 0;
  for (const LedgerRow& row : report->ledger) sum += row.bytes;
  if (sum != report->allocated_bytes) std::abort();
  (void)memory_timeline(job, gpu, std::nullopt);
  if (job.recording->pool->size() < kMostFormulas) (void)formulas(job);
  for (job.sought = 0; job.sought < job.letters.size(); ++job.sought)
    if (grid_of(job, Unknown::kLetter).count < 1) std::abort();
  return 0;
}
