#include "model/decoder.h"

namespace peakmem {
namespace {

/// The kinds of rotary embedding whose forward runs the same ops; `dynamic` and `longrope` read positions at run time.
void check_rotary_type(Fields& fields, const char* name, const Value& parameters) {
  static constexpr std::array<std::string_view, 4> kKnown = {"default", "linear", "llama3", "yarn"};
  const Value* type = parameters.find("rope_type");
  if (type == nullptr) type = parameters.find("type");
  if (type == nullptr) return;
  for (const std::string_view kind : kKnown)
    if (type->string == kind) return;
  fields.fail(name, "rotary embedding \"" + type->string.substr(0, 40) + "\" is not modelled",
              "known: default, linear, llama3, yarn");
}

void read_rotary_parameters(Fields& fields) {
  fields.ignore({"rope_theta", "partial_rotary_factor"});
  for (const char* name : {"rope_parameters", "rope_scaling"}) {
    if (!fields.has(name)) continue;
    const Value* parameters = fields.find(name);
    if (parameters->kind != Value::Kind::kObject) return fields.fail(name, "must be an object");
    check_rotary_type(fields, name, *parameters);
    for (const Member& member : parameters->members)  // by kind of layer
      if (member.value.kind == Value::Kind::kObject) check_rotary_type(fields, name, member.value);
  }
}

/// Layers of one kind in a row become a run.
void append(Description& d, bool windowed) {
  if (d.runs.empty() || d.runs.back().windowed != windowed) d.runs.push_back({0, windowed});
  ++d.runs.back().layers;
}

}  // namespace

std::span<const Task> decoder_tasks() {
  static constexpr std::array kTasks = {Task::kCausalLm, Task::kSequenceClassification};
  return kTasks;
}

Description read_decoder(Fields& fields, int64_t vocab, int64_t hidden, int64_t ffn, int64_t positions) {
  Description d;
  d.vocab = fields.size("vocab_size", vocab);
  d.hidden = fields.size("hidden_size", hidden);
  d.ffn = fields.size("intermediate_size", ffn);
  d.layers = fields.size("num_hidden_layers", 32);
  d.heads = fields.size("num_attention_heads", 32);
  d.positions = fields.size("max_position_embeddings", positions);
  const auto head_dim = fields.optional_size("head_dim");
  d.head_dim = head_dim.value_or(d.hidden / d.heads);
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.activation = read_activation(fields, "hidden_act", "silu");
  d.attention_dropout = fields.probability("attention_dropout", 0.0);
  d.tied = fields.flag("tie_word_embeddings", false);
  read_rotary_parameters(fields);
  if (d.head_dim % 2 != 0)
    fields.fail("head_dim", "is " + std::to_string(d.head_dim) + ", the rotary embedding needs an even one");
  return d;
}

int64_t read_rotary(Fields& fields, int64_t head_dim, double otherwise) {
  double share = otherwise;
  const auto take = [&](const Value* factor) {
    if (factor != nullptr && !factor->is_null()) share = factor->real;
  };
  take(fields.find("partial_rotary_factor"));
  for (const char* name : {"rope_scaling", "rope_parameters"})
    if (const Value* parameters = fields.find(name)) take(parameters->find("partial_rotary_factor"));
  const bool is_share = share >= 0.0 && share <= 1.0;
  const auto turned = is_share ? static_cast<int64_t>(static_cast<double>(head_dim) * share) : 0;
  if (turned >= 2 && turned % 2 == 0) return turned;
  fields.fail("partial_rotary_factor", "turns " + std::to_string(turned) + " of a head's " + std::to_string(head_dim) +
                                           " features, which must be an even number of them");
  return head_dim;
}

int64_t read_kv_heads(Fields& fields, int64_t heads, int64_t absent) {
  return fields.has("num_key_value_heads") || fields.find("num_key_value_heads") == nullptr
             ? fields.size("num_key_value_heads", absent)
             : heads;
}

void check_head_quotient(Fields& fields, const Description& d) {
  if (d.hidden % d.heads != 0)
    fields.fail("num_attention_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
}

void read_layer_types(Fields& fields, Description& d, const std::vector<std::string>& types) {
  if (static_cast<int64_t>(types.size()) != d.layers)
    return fields.fail("layer_types",
                       "has " + std::to_string(types.size()) + " entries for " + std::to_string(d.layers) + " layers");
  for (const std::string& type : types) {
    if (type != "full_attention" && type != "sliding_attention")
      return fields.fail("layer_types", "\"" + type.substr(0, 40) + "\" is not known",
                         "known: full_attention, sliding_attention");
    append(d, type == "sliding_attention");
  }
}

}  // namespace peakmem
