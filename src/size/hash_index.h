// Finding the entries of a vector by their hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace peakmem::sparse {

/// Places of a vector's entries in an open hash table that allocates only when it grows: a trace makes thousands of
/// small entries, and a node each was most of the time.
class HashIndex {
 public:
  /// The place of the entry with that hash for which `same(place)` holds, -1 if there is none.
  template <class Same>
  int32_t find(uint64_t hash, const Same& same) const {
    if (slots_.empty()) return -1;
    const auto mark = static_cast<uint32_t>(hash >> 32);
    for (size_t i = hash & (slots_.size() - 1); slots_[i].place >= 0; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].mark == mark && same(slots_[i].place)) return slots_[i].place;
    }
    return -1;
  }

  /// Adds an entry that `find` did not find; `hash_of(place)` must still give the hash of every earlier one.
  template <class HashOf>
  void insert(int32_t place, const HashOf& hash_of) {
    if (2 * (used_ + 1) > slots_.size()) {
      const std::vector<Slot> old = std::move(slots_);
      slots_.assign(old.empty() ? 256 : 2 * old.size(), Slot{});
      for (const Slot& slot : old) {
        if (slot.place >= 0) put(slot.place, hash_of(slot.place));
      }
    }
    put(place, hash_of(place));
    ++used_;
  }

 private:
  struct Slot {
    uint32_t mark = 0;
    int32_t place = -1;
  };

  void put(int32_t place, uint64_t hash) {
    size_t i = hash & (slots_.size() - 1);
    while (slots_[i].place >= 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = {static_cast<uint32_t>(hash >> 32), place};
  }

  std::vector<Slot> slots_;  // a power of two, at most half full
  size_t used_ = 0;
};

}  // namespace peakmem::sparse
