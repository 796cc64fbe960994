// What a pickle's opcodes work on: a stack of values, marks in it, and a memo.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/objects.h"
#include "size/result.h"

namespace peakmem {

/// The machine of Python's pickletools: opcodes push values onto a stack and gather those above a mark. Nothing below
/// the last mark can be popped. A function that returns false has noted why in `error`.
class PickleMachine {
 public:
  /// What runs, for errors: an opcode by its name and its place in the file.
  struct Opcode {
    size_t at = 0;
    std::string_view name;
  };
  Opcode opcode;
  Objects objects;

  const Error& error() const { return error_; }
  bool fail(std::string_view problem, std::string_view hint = {});
  /// Notes what is wrong with the current opcode: "APPEND finds no mark".
  bool fails_to(std::string_view problem) { return fail(std::string(opcode.name) + " " + std::string(problem)); }
  size_t size() const { return stack_.size(); }

  bool push(ObjectId id);
  /// Takes the last value; there must be one above the last mark.
  bool pop(ObjectId& id);
  bool mark();
  /// Drops the last value, or the mark above it.
  bool drop();
  bool drop_to_mark();
  bool twice();

  /// Values are put into places of the memo, which is no longer than the file (`limit`), and later taken from there.
  bool memoize(uint64_t place, size_t limit);
  bool memoize_next(size_t limit) { return memoize(memo_.size(), limit); }
  bool recall(uint64_t place);

  /// The last `items` values as a list.
  bool tuple(size_t items);
  bool list_from_mark();
  bool dict_from_mark();
  /// Puts the last value into the list below it, or the last two into a dict.
  bool append();
  bool set_item();
  /// Puts the values above the last mark into the container below it.
  bool fill_from_mark(Objects::Kind kind);

 private:
  size_t bottom() const { return marks_.empty() ? 0 : marks_.back(); }
  bool has(size_t count);
  bool pop_mark(size_t& from);
  void gather(ObjectId into, size_t from);
  bool gather_below(Objects::Kind kind, size_t from);

  std::vector<ObjectId> stack_;
  std::vector<size_t> marks_;
  std::vector<ObjectId> memo_;
  Error error_;
};

}  // namespace peakmem
