#include "train/loading.h"

#include <algorithm>

#include "size/order.h"

namespace peakmem {
namespace {

constexpr int64_t kCodes = 16;  // of 4 bits

/// A parameter of the checkpoint with the buffers that were made for it.
struct Loaded {
  int32_t parameter;
  std::vector<int32_t> buffers;
  std::string order;  // by which its name is sorted
};

/// Events of phases that are written one after another.
class Script {
 public:
  explicit Script(Program& program) : program_(program) {}
  void note(int32_t storage, bool birth) {
    Phase& phase = program_.phases.back();
    const int32_t turn = program_.storages[static_cast<size_t>(storage)].turn;
    const auto place = static_cast<int32_t>(program_.events.size());
    if (phase.first_segment == phase.last_segment || program_.segments.back().turn != turn) {
      program_.segments.push_back({place, place, turn});
      phase.last_segment = static_cast<int32_t>(program_.segments.size());
    }
    program_.events.push_back({storage, birth});
    ++program_.segments.back().last;
  }
  /// A storage beside another one, for a while.
  int32_t beside(int32_t storage, Expr bytes, DType dtype, const char* made_by) {
    Storage made = program_.storages[static_cast<size_t>(storage)];
    made.bytes = bytes;
    made.dtype = dtype;
    made.made_by = made_by;
    made.category = Category::kTemporaries;
    program_.storages.push_back(made);
    note(static_cast<int32_t>(program_.storages.size()) - 1, true);
    return static_cast<int32_t>(program_.storages.size()) - 1;
  }

 private:
  Program& program_;
};

/// The dtype in which a parameter comes from the checkpoint, unless it is packed on the way.
DType loaded_dtype(const Storage& storage, DType compute) {
  return size_of(storage.dtype) == size_of(compute) ? storage.dtype : compute;
}

bool is_packed(const Storage& storage) { return storage.dtype == DType::kUInt8 || storage.dtype == DType::kInt8; }

/// A name sorts by its parts, numbers as numbers (dot_natural_key); layers of one stack by their turns.
std::string order_of(const Program& program, const Storage& storage) {
  std::string name = program.path(storage.scope);
  const std::string turn = std::to_string(storage.turn);
  if (const size_t star = name.find('*'); star != std::string::npos)
    name.replace(star, 1, std::string(10 - std::min<size_t>(10, turn.size()), '0') + turn);
  std::replace(name.begin(), name.end(), '.', ' ');  // which sorts before all else
  return name;
}

/// What was made, in order: parameters that are loaded with their buffers, and everything else.
std::vector<Loaded> divide(const Program& program, const std::vector<int32_t>& loaded, std::vector<Event>& others) {
  std::vector<Loaded> all;
  bool packs = false;
  for (const Event& event : program.events) {
    const Storage& storage = program.storages[static_cast<size_t>(event.storage)];
    if (event.birth && std::binary_search(loaded.begin(), loaded.end(), event.storage)) {
      all.push_back({event.storage, {}, order_of(program, storage)});
      packs = is_packed(storage);
    } else if (event.birth && packs && storage.category == Category::kBuffers &&
               storage.turn == program.storages[static_cast<size_t>(all.back().parameter)].turn) {
      all.back().buffers.push_back(event.storage);
    } else {
      others.push_back(event);
      packs = false;
    }
  }
  return all;
}

/// bitsandbytes' get_4bit_type: data.div_(data.abs().max()), of the code that is there already.
void scale_code(Script& script, const Loaded& one) {
  const int32_t absolute = script.beside(one.parameter, kCodes * 4, DType::kFloat32, "abs");
  const int32_t largest = script.beside(one.parameter, 4, DType::kFloat32, "max");
  script.note(absolute, false);
  script.note(largest, false);
}

/// bitsandbytes' _quantize: the weight is there until what is made of it is. quantize_4bit makes the blocks' constants
/// in fp32, and with compress_statistics quantizes them less their mean (functional.py, 0.50); int8 goes through fp16.
void pack(Script& script, const Program& program, const Loaded& one, const Recipe& recipe) {
  const Storage packed = program.storages[static_cast<size_t>(one.parameter)];
  const DType compute = packed_dtype(recipe);
  const Expr elements = packed.dtype == DType::kUInt8 ? packed.bytes * 2 : packed.bytes;
  std::vector<int32_t> temporary = {
      script.beside(one.parameter, elements * Expr(size_of(compute)), compute, "_to_copy")};
  if (packed.dtype == DType::kInt8 && compute != DType::kFloat16)
    temporary.push_back(script.beside(one.parameter, elements * 2, DType::kFloat16, "_to_copy"));
  const bool nested = recipe.double_quant && packed.dtype == DType::kUInt8 && !one.buffers.empty();
  const Expr constants = nested ? program.storages[static_cast<size_t>(one.buffers[0])].bytes * 4 : Expr(0);
  const int32_t absmax = nested ? script.beside(one.parameter, constants, DType::kFloat32, "quantize_4bit") : -1;
  script.note(one.parameter, true);
  const int32_t less = nested ? script.beside(one.parameter, constants, DType::kFloat32, "sub") : -1;
  for (const int32_t buffer : one.buffers) script.note(buffer, true);
  if (!nested && packed.dtype == DType::kUInt8) scale_code(script, one);
  for (const int32_t each : {less, absmax})
    if (each >= 0) script.note(each, false);
  for (const int32_t each : temporary) script.note(each, false);
}

/// caching_allocator_warmup (transformers 5.23, modeling_utils.py): one block as large as the model, given back at
/// once, of whose segment the weights are cut.
void warm_up(Script& script, Program& program, const std::vector<Loaded>& all, const Recipe& recipe) {
  if (recipe.transformers != Transformers::kV523) return;
  const DType compute = packed_dtype(recipe);
  Storage block;
  block.made_by = "caching_allocator_warmup";
  block.bytes = 0;
  for (const Loaded& one : all) {
    const Storage& storage = program.storages[static_cast<size_t>(one.parameter)];
    const bool half = !is_packed(storage) && loaded_dtype(storage, compute) != storage.dtype;
    block.bytes +=
        program.turns[static_cast<size_t>(storage.turn)].count * (half ? exact_div(storage.bytes, 2) : storage.bytes);
  }
  program.storages.push_back(block);
  const auto place = static_cast<int32_t>(program.storages.size()) - 1;
  script.note(place, true);
  script.note(place, false);
}

bool is_buffer(const Program& program, const Event& event) {
  return program.storages[static_cast<size_t>(event.storage)].category == Category::kBuffers;
}

/// Buffers that belong to no weight: those of the quantization, or those of the model.
void note_buffers(Script& script, const Program& program, const std::vector<Event>& events, bool of_codes) {
  for (const Event& event : events) {
    const bool codes = program.path(program.storages[static_cast<size_t>(event.storage)].scope) == "dynamic_map";
    if (is_buffer(program, event) && codes == of_codes) script.note(event.storage, event.birth);
  }
}

/// Every parameter in turn; by storage, what is there in half precision of those that will be made fp32, else -1.
std::vector<int32_t> load_all(Script& script, Program& program, const std::vector<Loaded>& all, const Recipe& recipe) {
  const DType compute = packed_dtype(recipe);
  std::vector<int32_t> halves(program.storages.size(), -1);
  for (const Loaded& one : all) {
    const Storage storage = program.storages[static_cast<size_t>(one.parameter)];
    if (is_packed(storage))
      pack(script, program, one, recipe);
    else if (loaded_dtype(storage, compute) == storage.dtype)
      script.note(one.parameter, true);
    else
      halves[static_cast<size_t>(one.parameter)] =
          script.beside(one.parameter, exact_div(storage.bytes, 2), compute, "_to_copy");
  }
  return halves;
}

}  // namespace

bool takes_more_to_load(const Job& job) {
  const Recipe& recipe = job.recipe;
  const bool keeps_some_whole = job.description.decoder_layers > 0 && packed_dtype(recipe) == DType::kFloat16;
  return recipe.quantize != Quantize::kNone && recipe.upcast != Upcast::kNorms && !is_wrapped(recipe.sharding) &&
         !keeps_some_whole;
}

void trace_loading(Tape& tape, const std::vector<int32_t>& loaded, const Recipe& recipe) {
  Program& program = tape.program;
  std::vector<Event> others;
  std::vector<Loaded> all = divide(program, loaded, others);
  const std::vector<Loaded> made = all;  // in the order of model.parameters()
  sort_by(all, [](const Loaded& one) { return one.order; });
  program.events.clear();
  program.segments.clear();
  program.phases.clear();
  tape.begin_phase(0, -1, "load");
  Script script(program);
  warm_up(script, program, all, recipe);
  // The codes that all weights share are made for the first one, the model's own buffers when its weights are there.
  note_buffers(script, program, others, true);
  const std::vector<int32_t> halves = load_all(script, program, all, recipe);
  note_buffers(script, program, others, false);
  for (const Loaded& one : made) {
    const int32_t half = halves[static_cast<size_t>(one.parameter)];
    if (half < 0) continue;
    script.note(one.parameter, true);
    script.note(half, false);
  }
  program.phases.back().empties_cache = recipe.upcast == Upcast::kAll;
  tape.begin_phase(0, -1, "model");
  for (const Event& event : others)
    if (!is_buffer(program, event)) script.note(event.storage, event.birth);
}

}  // namespace peakmem
