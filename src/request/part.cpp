#include "request/part.h"

#include "size/wording.h"

namespace peakmem {
namespace {

/// What a model's config says for its text model too, where that has no word of its own.
void inherit(Value& part, const Value& whole, const char* name) {
  const Value* said = whole.find(name);
  if (said != nullptr && part.find(name) == nullptr) part.members.push_back({name, *said});
}

}  // namespace

Result<NamedConfig> part_of(const NamedConfig& model, const Options& asked, std::vector<std::string>& assumptions) {
  if (!asked.has("part")) return model;
  const Value* text = model.config.find(kTextConfig);
  if (text == nullptr || text->kind != Value::Kind::kObject)
    return Error{"--part", "text is a part of no such config, which has no text_config", "drop it"};
  NamedConfig part = {model.name, *text};
  for (const char* name : {"tie_word_embeddings", "pad_token_id"}) inherit(part.config, model.config, name);
  std::erase_if(part.config.members, [](const Member& member) { return member.name == "architectures"; });
  const Value* type = model.config.find("model_type");
  assumptions.push_back("part: the text model" + (type == nullptr ? std::string() : " of " + in_quotes(type->string)) +
                        " with its head; what encodes images or sound, and the tokens made of them, are not counted");
  return part;
}

}  // namespace peakmem
