#include "layout/broadcast.h"

#include <algorithm>
#include <deque>
#include <iterator>

namespace peakmem {
namespace {

constexpr size_t kMostInFlight = 2;

}  // namespace

Messages messages_of(const std::vector<std::pair<DType, int64_t>>& tensors) {
  Messages full, open;
  for (const auto& [dtype, bytes] : tensors) {
    auto message = std::find_if(open.begin(), open.end(), [of = dtype](const auto& it) { return it.first == of; });
    if (message == open.end()) message = open.insert(open.end(), {dtype, 0});
    message->second += bytes;
    if (message->second < kFullMessage) continue;
    full.push_back(*message);
    message->second = 0;
  }
  std::copy_if(open.begin(), open.end(), std::back_inserter(full), [](const auto& it) { return it.second > 0; });
  return full;
}

void broadcast(Tape& tape, const Messages& messages) {
  const Category category = std::exchange(tape.category, Category::kTemporaries);
  std::deque<Tensor> in_flight;
  for (const auto& [dtype, bytes] : messages) {
    if (in_flight.size() == kMostInFlight) in_flight.pop_front();
    in_flight.push_back(tape.make({bytes / size_of(dtype)}, dtype, "broadcast_coalesced"));
  }
  while (!in_flight.empty()) in_flight.pop_front();
  tape.category = category;
}

}  // namespace peakmem
