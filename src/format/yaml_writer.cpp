#include "format/yaml_writer.h"

#include <yaml.h>

#include "format/json_writer.h"
#include "format/yaml.h"

namespace peakmem {
namespace {

using Kind = Value::Kind;

int append(void* text, unsigned char* buffer, size_t size) {
  static_cast<std::string*>(text)->append(reinterpret_cast<const char*>(buffer), size);
  return 1;
}

/// libyaml's emitter, and the text that it has written.
class Emitter {
 public:
  explicit Emitter(std::string& text) {
    yaml_emitter_initialize(&emitter_);
    yaml_emitter_set_output(&emitter_, append, &text);
    yaml_emitter_set_unicode(&emitter_, 1);
    yaml_emitter_set_width(&emitter_, -1);
  }
  Emitter(const Emitter&) = delete;
  Emitter& operator=(const Emitter&) = delete;
  ~Emitter() { yaml_emitter_delete(&emitter_); }

  void document(const Value& value) {
    yaml_event_t event;
    if (yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) == 1) emit(event);
    if (yaml_document_start_event_initialize(&event, nullptr, nullptr, nullptr, 1) == 1) emit(event);
    write(value);
    if (yaml_document_end_event_initialize(&event, 1) == 1) emit(event);
    if (yaml_stream_end_event_initialize(&event) == 1) emit(event);
  }

 private:
  void emit(yaml_event_t& event) { yaml_emitter_emit(&emitter_, &event); }

  void write(const Value& value) {
    yaml_event_t event;
    if (value.kind == Kind::kObject) {
      if (yaml_mapping_start_event_initialize(&event, nullptr, nullptr, 1, YAML_BLOCK_MAPPING_STYLE) == 1) emit(event);
      for (const Member& member : value.members) {
        scalar(member.name, yaml_scalar(member.name).kind != Kind::kString);
        write(member.value);
      }
      if (yaml_mapping_end_event_initialize(&event) == 1) emit(event);
    } else if (value.kind == Kind::kList) {
      if (yaml_sequence_start_event_initialize(&event, nullptr, nullptr, 1, YAML_FLOW_SEQUENCE_STYLE) == 1) emit(event);
      for (const Value& item : value.items) write(item);
      if (yaml_sequence_end_event_initialize(&event) == 1) emit(event);
    } else if (value.kind == Kind::kString) {
      scalar(value.string, yaml_scalar(value.string).kind != Kind::kString);
    } else {
      scalar(to_json(value), false);
    }
  }

  /// Quoted where it would be read as something else than a text.
  void scalar(const std::string& text, bool quoted) {
    yaml_event_t event;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    const yaml_scalar_style_t style = quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE;
    if (yaml_scalar_event_initialize(&event, nullptr, nullptr, bytes, static_cast<int>(text.size()), 1, 1, style) == 1)
      emit(event);
  }

  yaml_emitter_t emitter_ = {};
};

}  // namespace

std::string to_yaml(const Value& value) {
  std::string text;
  Emitter(text).document(value);
  return text;
}

}  // namespace peakmem
