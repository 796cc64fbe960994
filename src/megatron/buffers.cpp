#include "megatron/buffers.h"

#include <algorithm>
#include <numeric>
#include <ranges>

namespace peakmem::mcore {
namespace {

int64_t padded(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

/// _ParamAndGradBuffer.__init__, step by step.
class Layout {
 public:
  explicit Layout(const BufferRules& rules) : rules_(rules) {}

  void add(size_t parameter, int64_t elements, bool apart) {
    if (rules_.distributed) at_ = padded(at_, 64);
    const bool alone = apart && rules_.distributed;
    if (alone && !empty_) close();
    slots_.push_back({parameter, {at_, at_ + elements}, buckets_.size()});
    at_ += elements;
    empty_ = false;
    const bool full = rules_.bucket_elements > 0 && at_ - bucket_start_ >= rules_.bucket_elements;
    if (full || alone) close();
  }
  Buffer finish() {
    if (!empty_) close();
    return {.slots = std::move(slots_),
            .buckets = std::move(buckets_),
            .elements = at_,
            .ranks = rules_.ranks,
            .parameters = {},
            .gradients = {}};
  }

 private:
  void close() {
    if (rules_.distributed) at_ = padded(at_, std::lcm(rules_.ranks, int64_t{128}));
    buckets_.push_back({bucket_start_, at_});
    bucket_start_ = at_;
    empty_ = true;
  }

  const BufferRules& rules_;
  std::vector<Slot> slots_;
  std::vector<Range> buckets_;
  int64_t at_ = 0;
  int64_t bucket_start_ = 0;
  bool empty_ = true;
};

}  // namespace

int64_t elements_of(const Tape& tape, size_t parameter) {
  return tape.parameters[parameter].value.shape().elements().number();
}

Buffer lay_out(const Tape& tape, const std::vector<Trait>& traits, const std::vector<size_t>& which,
               const BufferRules& rules) {
  Layout layout(rules);
  for (const size_t i : std::views::reverse(which)) layout.add(i, elements_of(tape, i), traits[i].shared);
  return layout.finish();
}

std::vector<Shard> shards_of(const Buffer& buffer, int64_t rank) {
  std::vector<Shard> shards;
  for (const Range& bucket : buffer.buckets) {
    const int64_t each = bucket.size() / buffer.ranks;
    const int64_t start = bucket.start + rank * each;
    for (const Slot& slot : buffer.slots) {
      const int64_t elements = std::min(slot.range.end, start + each) - std::max(slot.range.start, start);
      if (elements > 0) shards.push_back({slot.parameter, elements});
    }
  }
  return shards;
}

}  // namespace peakmem::mcore
