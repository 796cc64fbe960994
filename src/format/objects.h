// Plain values as a graph: what a pickle or a large JSON text holds. What is shared is kept once and never copied, so
// that a small file cannot ask for much memory, and a file of a gigabyte asks for a few.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace peakmem {

/// A value by its number.
using ObjectId = uint32_t;

/// Values by number. A text is kept once however often it occurs, so names can be compared by number.
class Objects {
 public:
  enum class Kind : uint8_t { kNone, kBool, kInteger, kReal, kString, kList, kDict };
  static constexpr size_t kMax = size_t{1} << 27;  // values; readers stop there

  Objects();
  Objects(Objects&&) noexcept = default;
  Objects& operator=(Objects&&) noexcept = default;
  size_t size() const { return nodes_.size(); }

  static constexpr ObjectId none() { return 0; }
  static constexpr ObjectId boolean(bool value) { return value ? 2 : 1; }
  ObjectId integer(int64_t value) { return add(Kind::kInteger, value); }
  ObjectId real(double value);
  ObjectId string(std::string_view text);
  ObjectId list() { return container(Kind::kList); }
  ObjectId dict() { return container(Kind::kDict); }
  /// Into a list; into a dict, where keys and values take turns.
  void append(ObjectId to, ObjectId item) { children_[index(to)].push_back(item); }

  Kind kind(ObjectId id) const { return nodes_[id].kind; }
  /// Of an integer or a truth; anything else is 0.
  int64_t number(ObjectId id) const;
  double real_number(ObjectId id) const;
  std::string_view text(ObjectId id) const;
  const std::vector<ObjectId>& children(ObjectId id) const;
  /// The value a dict has under `name` (the last one given); none() where it has none, or `dict` is no dict.
  ObjectId find(ObjectId dict, std::string_view name) const;

 private:
  /// `content`: the number, or where in texts_ or children_ the rest is.
  struct Node {
    Kind kind;
    int64_t content;
  };
  ObjectId add(Kind kind, int64_t content);
  ObjectId container(Kind kind);
  size_t index(ObjectId id) const { return static_cast<size_t>(nodes_[id].content); }

  std::vector<Node> nodes_;
  std::deque<std::string> texts_;  // stay where they are: known_ looks at them
  std::vector<std::vector<ObjectId>> children_;
  std::unordered_map<std::string_view, ObjectId> known_;
};

/// A value in its graph, to be read.
class Object {
 public:
  Object(const Objects& graph, ObjectId id) : graph_(&graph), id_(id) {}

  ObjectId id() const { return id_; }
  bool is(Objects::Kind kind) const { return graph_->kind(id_) == kind; }
  bool is_none() const { return is(Objects::Kind::kNone); }
  int64_t number() const { return graph_->number(id_); }
  double real_number() const { return graph_->real_number(id_); }
  std::string_view text() const { return graph_->text(id_); }
  Object operator[](std::string_view name) const { return {*graph_, graph_->find(id_, name)}; }
  /// Another value of the same graph.
  Object other(ObjectId id) const { return {*graph_, id}; }
  /// Of a list; 0 of anything else.
  size_t size() const { return is(Objects::Kind::kList) ? graph_->children(id_).size() : 0; }
  Object at(size_t i) const { return {*graph_, graph_->children(id_)[i]}; }
  /// Of a dict, in order; 0 of anything else.
  size_t members() const { return is(Objects::Kind::kDict) ? graph_->children(id_).size() / 2 : 0; }
  Object key(size_t i) const { return {*graph_, graph_->children(id_)[2 * i]}; }
  Object value(size_t i) const { return {*graph_, graph_->children(id_)[2 * i + 1]}; }

 private:
  const Objects* graph_;
  ObjectId id_;
};

/// A graph and the value that the file is.
struct ObjectFile {
  Objects objects;
  ObjectId id = Objects::none();

  Object root() const { return {objects, id}; }
};

}  // namespace peakmem
