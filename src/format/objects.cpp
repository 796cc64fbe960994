#include "format/objects.h"

#include <bit>

namespace peakmem {

Objects::Objects() {
  add(Kind::kNone, 0);
  add(Kind::kBool, 0);
  add(Kind::kBool, 1);
}

ObjectId Objects::add(Kind kind, int64_t content) {
  nodes_.push_back({kind, content});
  return static_cast<ObjectId>(nodes_.size() - 1);
}

ObjectId Objects::real(double value) { return add(Kind::kReal, std::bit_cast<int64_t>(value)); }

ObjectId Objects::string(std::string_view text) {
  if (const auto found = known_.find(text); found != known_.end()) return found->second;
  const ObjectId id = add(Kind::kString, static_cast<int64_t>(texts_.size()));
  known_.emplace(texts_.emplace_back(text), id);
  return id;
}

ObjectId Objects::container(Kind kind) {
  children_.emplace_back();
  return add(kind, static_cast<int64_t>(children_.size() - 1));
}

int64_t Objects::number(ObjectId id) const {
  return kind(id) == Kind::kInteger || kind(id) == Kind::kBool ? nodes_[id].content : 0;
}

double Objects::real_number(ObjectId id) const {
  return kind(id) == Kind::kReal ? std::bit_cast<double>(nodes_[id].content) : static_cast<double>(number(id));
}

std::string_view Objects::text(ObjectId id) const {
  return kind(id) == Kind::kString ? std::string_view(texts_[index(id)]) : std::string_view();
}

const std::vector<ObjectId>& Objects::children(ObjectId id) const {
  static const std::vector<ObjectId> nothing;
  return kind(id) == Kind::kList || kind(id) == Kind::kDict ? children_[index(id)] : nothing;
}

ObjectId Objects::find(ObjectId dict, std::string_view name) const {
  const auto known = known_.find(name);
  if (kind(dict) != Kind::kDict || known == known_.end()) return none();
  const std::vector<ObjectId>& members = children(dict);
  for (size_t i = members.size(); i >= 2; i -= 2)
    if (members[i - 2] == known->second) return members[i - 1];
  return none();
}

}  // namespace peakmem
