// Objects of one type, made and given back by the thousand; they stay where they are.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace peakmem {

/// A store that hands out objects from chunks and takes them back for reuse.
template <class T>
class Arena {
 public:
  /// An object: fresh, or as its last user left it. Who makes one sets what matters.
  T* make() {
    if (!free_.empty()) {
      T* reused = free_.back();
      free_.pop_back();
      return reused;
    }
    if (used_ == kChunk) {
      chunks_.push_back(std::make_unique_for_overwrite<T[]>(kChunk));
      used_ = 0;
    }
    return &chunks_.back()[used_++];
  }
  /// What it holds must have been let go.
  void give_back(T* object) { free_.push_back(object); }

 private:
  static constexpr size_t kChunk = 64;
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::vector<T*> free_;
  size_t used_ = kChunk;
};

}  // namespace peakmem
