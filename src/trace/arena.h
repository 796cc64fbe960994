// Objects of one type, made and given back by the thousand; they stay where they are.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

namespace peakmem {

// What is rarely done is a call of its own, so that who does what is often done need not save registers for it: a third
// of the instructions of the tape's smallest functions.
#define PEAKMEM_RARE [[gnu::noinline]]

/// Room for as many again.
template <class T>
PEAKMEM_RARE void make_room(std::vector<T>& list) {
  list.reserve(2 * list.size() + 16);
}

/// Whether one more needs room.
template <class T>
bool is_full(const std::vector<T>& list) {
  return list.data() + list.size() == list.data() + list.capacity();
}

/// list.push_back(value).
template <class T>
[[gnu::always_inline]] inline void append(std::vector<T>& list, const T& value) {
  if (is_full(list)) make_room(list);
  if (is_full(list)) __builtin_unreachable();
  list.push_back(value);
}

/// A store that hands out objects from chunks and takes them back for reuse. It ends none of them: what they hold at
/// the end must not matter.
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
    return fresh();
  }
  /// What it holds must have been let go.
  void give_back(T* object) { append(free_, object); }

 private:
  static constexpr size_t kChunk = 64;
  /// Room for one.
  struct alignas(T) Place {
    std::byte bytes[sizeof(T)];
  };
  PEAKMEM_RARE T* fresh() {
    if (used_ == kChunk) {
      chunks_.push_back(std::make_unique_for_overwrite<Place[]>(kChunk));
      used_ = 0;
    }
    return new (&chunks_.back()[used_++]) T;
  }

  std::vector<std::unique_ptr<Place[]>> chunks_;
  std::vector<T*> free_;
  size_t used_ = kChunk;
};

}  // namespace peakmem
