#include "format/yaml.h"

#include <yaml.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "size/wording.h"

namespace peakmem {
namespace {

using Kind = Value::Kind;

/// libyaml's parser, which PyYAML is a Python of, and the event it gave last.
class Events {
 public:
  explicit Events(std::string_view text) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;
  ~Events() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }

  /// The next event; false where the text is no YAML.
  bool next() {
    yaml_event_delete(&event_);
    event_ = {};
    return yaml_parser_parse(&parser_, &event_) == 1;
  }
  const yaml_event_t& event() const { return event_; }
  size_t line() const { return event_.start_mark.line + 1; }

  Error error() const {
    const std::string problem = parser_.problem == nullptr ? "cannot be read" : parser_.problem;
    const size_t line = std::max(parser_.problem_mark.line, parser_.context_mark.line) + 1;
    return {"line " + std::to_string(line), "is no YAML: " + problem,
            problem.find("character") == std::string::npos ? "" : "YAML is indented with spaces, never tabs"};
  }

 private:
  yaml_parser_t parser_ = {};
  yaml_event_t event_ = {};
};

std::string_view text_of(const unsigned char* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

/// Builds the value from the events, one call a node: the depth is bounded.
class Builder {
 public:
  explicit Builder(std::string_view text) : events_(text) {}

  Result<Value> document() {
    Value value;
    bool seen = false;
    for (;;) {
      if (!events_.next()) return events_.error();
      const yaml_event_type_t type = events_.event().type;
      if (type == YAML_STREAM_END_EVENT) return value;
      if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_END_EVENT) continue;
      if (type == YAML_DOCUMENT_START_EVENT) {
        if (std::exchange(seen, true)) return stop("starts a second document", "give one document");
        continue;
      }
      Result<Value> root = node(0);
      if (!root) return root;
      value = std::move(*root);
    }
  }

 private:
  Error stop(std::string_view problem, std::string_view hint) const {
    return {"line " + std::to_string(events_.line()), problem, hint};
  }

  /// The node that the event at hand begins.
  Result<Value> node(size_t depth) {
    if (depth > kYamlMaxDepth)
      return stop("is nested deeper than " + std::to_string(kYamlMaxDepth) + " levels", "is this the right file?");
    if (++values_ > kYamlMaxValues)
      return stop("holds more than " + std::to_string(kYamlMaxValues) + " values, aliases written out",
                  "is this the right file?");
    const yaml_event_t& event = events_.event();
    if (event.type == YAML_ALIAS_EVENT) return alias();
    if (event.type == YAML_SCALAR_EVENT) return scalar();
    const bool list = event.type == YAML_SEQUENCE_START_EVENT;
    const std::string anchor(text_of(list ? event.data.sequence_start.anchor : event.data.mapping_start.anchor));
    if (!anchor.empty()) anchors_.erase(anchor);  // what is not complete cannot stand within itself
    Result<Value> value = list ? this->list(depth) : mapping(depth);
    if (value && !anchor.empty()) anchors_[anchor] = *value;
    return value;
  }

  Result<Value> alias() {
    const std::string name(text_of(events_.event().data.alias.anchor));
    const auto found = anchors_.find(name);
    if (found == anchors_.end()) return stop("*" + name.substr(0, 60) + " stands for nothing that was said before", "");
    values_ += count(found->second);
    if (values_ > kYamlMaxValues)
      return stop("holds more than " + std::to_string(kYamlMaxValues) + " values, aliases written out",
                  "is this the right file?");
    return found->second;
  }

  /// A long text counts as several values: aliases copy it.
  static size_t weight(const Value& value) { return 1 + value.string.size() / 256; }

  static size_t count(const Value& value) {
    size_t values = weight(value);
    for (const Value& item : value.items) values += count(item);
    for (const Member& member : value.members) values += count(member.value);
    return values;
  }

  Result<Value> scalar() {
    const auto& scalar = events_.event().data.scalar;
    const std::string text(reinterpret_cast<const char*>(scalar.value), scalar.length);
    const std::string_view tag = text_of(scalar.tag);
    Value value;
    if (scalar.plain_implicit != 0)
      value = yaml_scalar(text);
    else if (scalar.quoted_implicit != 0 || tag == YAML_STR_TAG || tag == "!")
      value = {.kind = Kind::kString, .string = text};
    else if (tag.starts_with("tag:yaml.org,2002:") && tag.find('/') == std::string_view::npos)
      value = yaml_scalar(text);
    else
      return stop("has the tag " + in_quotes(tag.substr(0, 60)) + ", which makes an object: it is not read", "");
    if (const std::string anchor(text_of(scalar.anchor)); !anchor.empty()) anchors_[anchor] = value;
    return value;
  }

  Result<Value> list(size_t depth) {
    Value value = {.kind = Kind::kList};
    for (;;) {
      if (!events_.next()) return events_.error();
      if (events_.event().type == YAML_SEQUENCE_END_EVENT) return value;
      Result<Value> item = node(depth + 1);
      if (!item) return item;
      value.items.push_back(std::move(*item));
    }
  }

  Result<Value> mapping(size_t depth) {
    Value value = {.kind = Kind::kObject};
    std::map<std::string, size_t> lines;
    std::vector<Value> merged;
    for (;;) {
      if (!events_.next()) return events_.error();
      if (events_.event().type == YAML_MAPPING_END_EVENT) break;
      if (events_.event().type != YAML_SCALAR_EVENT) return stop("has a name that is no plain text", "");
      const auto& scalar = events_.event().data.scalar;
      const std::string name(reinterpret_cast<const char*>(scalar.value), scalar.length);
      const bool merges = name == "<<" && scalar.plain_implicit != 0;
      const auto [other, is_new] = lines.emplace(name, events_.line());
      if (!is_new && !merges)
        return stop(in_quotes(name.substr(0, 60)) + " is said twice, first in line " + std::to_string(other->second),
                    "the tool takes the last: drop one");
      if (!events_.next()) return events_.error();
      Result<Value> inner = node(depth + 1);
      if (!inner) return inner;
      if (merges)
        merged.push_back(std::move(*inner));
      else
        value.members.push_back({name, std::move(*inner)});
    }
    for (const Value& other : merged) merge(value, other);
    return value;
  }

  /// What the mapping does not say itself; of a list of mappings the first that says it.
  static void merge(Value& into, const Value& from) {
    for (const Value& item : from.items) merge(into, item);
    for (const Member& member : from.members)
      if (into.find(member.name) == nullptr) into.members.push_back(member);
  }

  Events events_;
  std::map<std::string, Value> anchors_;
  size_t values_ = 0;
};

}  // namespace

Result<Value> parse_yaml(std::string_view text) {
  if (text.size() > kYamlMaxBytes)
    return Error("", "is larger than " + std::to_string(kYamlMaxBytes >> 20) + " MiB", "is this the right file?");
  return Builder(text).document();
}

}  // namespace peakmem
