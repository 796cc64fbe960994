#include "format/pickle_machine.h"

namespace peakmem {
namespace {

constexpr ObjectId kNever = UINT32_MAX;  // a place of the memo that nothing was put into

}  // namespace

bool PickleMachine::fail(std::string_view problem, std::string_view hint) {
  error_ = {"byte " + std::to_string(opcode.at), problem, hint};
  return false;
}

bool PickleMachine::push(ObjectId id) {
  stack_.push_back(id);
  return true;
}

bool PickleMachine::has(size_t count) {
  return stack_.size() - bottom() >= count || fails_to("finds too little on the stack");
}

bool PickleMachine::pop(ObjectId& id) {
  if (!has(1)) return false;
  id = stack_.back();
  stack_.pop_back();
  return true;
}

bool PickleMachine::mark() {
  marks_.push_back(stack_.size());
  return marks_.size() <= Objects::kMax || fail("is nested too deep");
}

bool PickleMachine::pop_mark(size_t& from) {
  if (marks_.empty()) return fails_to("finds no mark");
  from = marks_.back();
  marks_.pop_back();
  return true;
}

bool PickleMachine::drop() {
  if (!marks_.empty() && stack_.size() == marks_.back()) {
    marks_.pop_back();
    return true;
  }
  ObjectId dropped = Objects::none();
  return pop(dropped);
}

bool PickleMachine::drop_to_mark() {
  size_t from = 0;
  if (!pop_mark(from)) return false;
  stack_.resize(from);
  return true;
}

bool PickleMachine::twice() { return has(1) && push(stack_.back()); }

bool PickleMachine::memoize(uint64_t place, size_t limit) {
  if (!has(1)) return false;
  if (place > limit) return fail("puts a value into place " + std::to_string(place) + " of a memo that is shorter");
  if (place >= memo_.size()) memo_.resize(static_cast<size_t>(place) + 1, kNever);
  memo_[static_cast<size_t>(place)] = stack_.back();
  return true;
}

bool PickleMachine::recall(uint64_t place) {
  if (place >= memo_.size() || memo_[static_cast<size_t>(place)] == kNever)
    return fail("takes a value from place " + std::to_string(place) + " of the memo, where none is");
  return push(memo_[static_cast<size_t>(place)]);
}

/// Moves what lies above stack position `from` into a container.
void PickleMachine::gather(ObjectId into, size_t from) {
  for (size_t i = from; i < stack_.size(); ++i) objects.append(into, stack_[i]);
  stack_.resize(from);
}

/// Puts the values above `from`, where the last mark was or would be, into the container below them.
bool PickleMachine::gather_below(Objects::Kind kind, size_t from) {
  if (from == bottom()) return fails_to("finds too little on the stack");
  const ObjectId into = stack_[from - 1];
  if (objects.kind(into) != kind) return fails_to("finds no container to fill");
  const bool pairs = kind == Objects::Kind::kDict;
  if (pairs && (stack_.size() - from) % 2 != 0) return fails_to("finds a key without a value");
  gather(into, from);
  return true;
}

bool PickleMachine::tuple(size_t items) {
  if (!has(items)) return false;
  const ObjectId list = objects.list();
  gather(list, stack_.size() - items);
  return push(list);
}

bool PickleMachine::list_from_mark() {
  size_t from = 0;
  if (!pop_mark(from)) return false;
  const ObjectId list = objects.list();
  gather(list, from);
  return push(list);
}

bool PickleMachine::dict_from_mark() {
  size_t from = 0;
  if (!pop_mark(from)) return false;
  if ((stack_.size() - from) % 2 != 0) return fails_to("finds a key without a value");
  const ObjectId dict = objects.dict();
  gather(dict, from);
  return push(dict);
}

bool PickleMachine::append() { return has(2) && gather_below(Objects::Kind::kList, stack_.size() - 1); }

bool PickleMachine::set_item() { return has(3) && gather_below(Objects::Kind::kDict, stack_.size() - 2); }

bool PickleMachine::fill_from_mark(Objects::Kind kind) {
  size_t from = 0;
  return pop_mark(from) && gather_below(kind, from);
}

}  // namespace peakmem
