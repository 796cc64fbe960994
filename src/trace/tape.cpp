#include "trace/tape.h"

#include <cstring>

namespace peakmem {
namespace {

/// By dtype.
constexpr std::array<Expr, kDTypes.size()> kSizes = [] {
  std::array<Expr, kDTypes.size()> sizes;
  for (size_t i = 0; i < sizes.size(); ++i) sizes[i] = kDTypes[i].bytes;
  return sizes;
}();

}  // namespace

void Tensor::let_go() {
  if (--meta_->references == 0) meta_->tape->release(meta_);
}

bool Gradients::needs(size_t input) const { return node.next[input].node != nullptr; }

const KeptShape& Gradients::input_shape(size_t input) const {
  const Edge& edge = node.next[input];
  return *(edge.output == 0 ? edge.node->first : edge.node->second);
}

Tensor Gradients::saved(size_t index) const { return node.saved[index].tensor; }

void run_function(Gradients& g) { g.node.function(g); }

// A slot gives its tensor away, as the unpack hook of torch.utils.checkpoint forgets what it hands out.
void Tape::unpack(Node* node) {
  for (size_t i = 0; i < node->saved_count; ++i) {
    Saved& saved = node->saved[i];
    if (saved.frame < 0) continue;
    Frame& call = frame_at(saved.frame);
    if (!call.has_run) run_again(call);
    saved.tensor = std::move(call.slots[static_cast<size_t>(saved.slot)]);
  }
}

void Tape::run_again(Frame& call) {
  call.has_run = true;
  call.counted = 0;
  call.again();
  for (Node* node : std::exchange(again_, {})) let_go(node);
}

void Tape::forget_unpacked(Node* node) {
  for (size_t i = 0; i < node->saved_count; ++i)
    if (node->saved[i].frame >= 0) node->saved[i].tensor.reset();
}

Tape::Tape() {
  // More than is needed: glibc maps a block of this size, and once one was freed keeps what is freed below twice that
  // (mallopt(3), M_MMAP_THRESHOLD). Else it asks the kernel for the memory of each trace anew.
  program.storages.reserve(8192);
  program.events.reserve(4096);
  program.segments.reserve(64);
  program.scopes.reserve(64);
  program.weights.reserve(128);
  program.works.reserve(512);
  parameters.reserve(128);
  nodes_.reserve(1024);
  links_.reserve(64);
  stand_in_.accumulates = true;  // nobody counts who holds it
}

void Tape::close() {
  closing_ = true;
  for (size_t i = 0; i < nodes_.size() && live_nodes_ > 0; ++i)  // the arena does not end them
    if (nodes_[i] != nullptr) nodes_[i]->function = nullptr, --live_nodes_;
  parameters.clear();
  frozen.clear();
  shared.clear();
  autocast.cache.clear();
  aside.clear();
}

Program Tape::finish() {
  close();
  return std::move(program);
}

int32_t Tape::new_frame() {
  frames_.push_back(std::make_unique<Frame>());
  return static_cast<int32_t>(frames_.size()) - 1;
}

Meta* Tape::new_meta(const KeptShape& shape, DType dtype, int32_t storage) {
  Meta* meta = metas_.make();
  meta->tape = this;
  meta->shape = &shape;
  meta->storage = storage;
  meta->references = 0;
  meta->node = nullptr;
  meta->output = 0;
  meta->dtype = dtype;
  meta->requires_grad = false;
  meta->is_leaf = true;
  meta->is_view = false;
  meta->cast = -1;
  return meta;
}

Node* Tape::new_node() {
  Node* node = node_store_.make();  // its handles were let go when it was given back
  node->op = nullptr;
  node->references = 0;
  node->index = -1;
  node->scope = scope;
  node->unit = unit;
  node->next = {};
  node->inputs = 0;
  node->saved_count = 0;
  node->accumulates = false;
  node->causal = false;
  node->reached_in = 0;
  node->pending = 0;
  return node;
}

Tensor Tape::make(const KeptShape& shape, DType dtype, const char* made_by) {
  if (frame >= 0 && frame_at(frame).keeps != nullptr) return make_or_keep(shape, dtype, made_by);
  return make_new(shape, dtype, made_by);
}

Tensor Tape::make_or_keep(const KeptShape& shape, DType dtype, const char* made_by) {
  Frame& running = frame_at(frame);
  if (!running.keeps(made_by, running.counted)) return make_new(shape, dtype, made_by);
  if (running.has_run) return std::move(running.kept[running.given++]);
  Tensor made = make_new(shape, dtype, made_by);
  running.kept.push_back(look(made, shape, false));
  return made;
}

Tensor Tape::make_new(const KeptShape& shape, DType dtype, const char* made_by) {
  if (ghost) return Tensor(new_meta(shape, dtype, -1));
  const int32_t storage = new_storage(shape, dtype, made_by);
  note(storage, true);
  return Tensor(new_meta(shape, dtype, storage));
}

Tensor Tape::make_empty(const KeptShape& shape, DType dtype, const char* made_by) {
  return Tensor(new_meta(shape, dtype, new_storage(shape, dtype, made_by)));
}

int32_t Tape::new_storage(const KeptShape& shape, DType dtype, const char* made_by) {
  const auto place = static_cast<int32_t>(program.storages.size());
  append(program.storages, {.bytes = shape.elements() * kSizes[static_cast<size_t>(dtype)],
                            .made_by = made_by,
                            .scope = scope,
                            .turn = turn,
                            .references = 1,
                            .category = category,
                            .dtype = dtype});
  return place;
}

Tensor Tape::look(const Tensor& base, const KeptShape& shape, bool is_view) {
  Meta* meta = new_meta(shape, base.dtype(), base->storage);
  meta->is_view = is_view;
  if (meta->storage >= 0) ++program.storages[static_cast<size_t>(meta->storage)].references;
  return Tensor(meta);
}

Tensor Tape::parameter(const Shape& shape, DType dtype, const char* name, bool trained) {
  Scope named(*this, name);
  const Category outer = std::exchange(category, Category::kWeights);
  Tensor value = meta_parameters ? make_empty(shape, dtype, "parameter") : make(shape, dtype, "parameter");
  category = outer;
  const Expr elements = program.turns[static_cast<size_t>(turn)].count * shape.elements();
  program.parameters += elements;
  program.weights.push_back({scope, turn, layer, trained});
  if (trained) {
    program.trained_parameters += elements;
    parameters.push_back({value, new_accumulator(value), scope, turn, unit});
  } else {
    frozen.push_back({value, nullptr, scope, turn, unit});
  }
  if (hooks != nullptr) hooks->made(value);
  return value;
}

Node* Tape::new_accumulator(const Tensor& leaf) {
  Node* accumulator = new_node();
  accumulator->accumulates = true;
  accumulator->first = leaf->shape;
  accumulator->dtype = leaf.dtype();
  leaf->requires_grad = true;
  leaf->node = accumulator;
  if (!leaf->is_view) leaf->cast = casts_++;
  return accumulator;
}

Tensor Tape::leaf(Tensor tensor) {
  new_accumulator(tensor);
  return tensor;
}

void Tape::require_grad(const Tensor& tensor) {
  if (tensor->requires_grad) return;
  new_accumulator(tensor);
  leaves_.push_back(tensor);
}

Tensor Tape::detached_leaf(const Tensor& tensor) { return leaf(look(tensor, tensor.shape(), false)); }

Tensor Tape::buffer(const Shape& shape, DType dtype, const char* name) {
  Scope named(*this, name);
  const Category outer = std::exchange(category, Category::kBuffers);
  Tensor value = make(shape, dtype, "buffer");
  category = outer;
  return value;
}

Node* Tape::record(const Op& op, std::initializer_list<const Tensor*> inputs) {
  if (!grad_mode) return nullptr;
  bool wanted = false;
  for (const Tensor* input : inputs) wanted = wanted || (*input && (*input)->requires_grad);
  if (!wanted) return nullptr;
  const bool again = frame >= 0 && frame_at(frame).has_run;
  if (again && op.backward != run_function) {
    stand_in_.op = &op;
    return &stand_in_;
  }
  Node* node = new_node();
  node->op = &op;
  node->index = static_cast<int32_t>(nodes_.size());
  append(nodes_, node);
  ++live_nodes_;
  for (const Tensor* input : inputs) {
    Edge& edge = node->next[node->inputs++];
    if (!*input || !(*input)->requires_grad) continue;
    edge = {(*input)->node, (*input)->output};
    if (!edge.node->accumulates) ++edge.node->references;
  }
  if (again) {
    ++node->references;
    again_.push_back(node);
  }
  return node;
}

void Tape::save(Node* node, const Tensor& tensor) {
  if (node == nullptr || ghost) return;
  Frame* running = frame >= 0 ? &frame_at(frame) : nullptr;
  if (running != nullptr && !running->has_run) {  // forward of a checkpoint: a slot to fill later
    Saved& saved = *new (&node->saved[node->saved_count++]) Saved;
    saved.frame = frame;
    saved.slot = running->saved++;
    running->slots.emplace_back();
    ++running->open;
    return;
  }
  if (tensor->storage >= 0) {
    Storage& storage = program.storages[static_cast<size_t>(tensor->storage)];
    if (storage.saved_by == nullptr) storage.saved_by = node->op->name;
  }
  if (running == nullptr) {
    Saved& saved = *new (&node->saved[node->saved_count++]) Saved;
    saved.tensor = tensor;
    saved.frame = -1;
    return;
  }
  // Its second run: the slot gets a share in the storage, but where nobody is left to ask for it (see drop_saved), and
  // after the last one nothing more is needed.
  Tensor& slot = running->slots[static_cast<size_t>(running->filled++)];
  slot = slot ? Tensor() : look(tensor, tensor.shape(), tensor->is_view);
  if (running->filled == running->saved && running->stops_early) ghost = true;
}

void Tape::cast_for_good(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() == dtype) return;
  const size_t first = program.events.size();
  {
    const Tensor cast = make(tensor.shape(), dtype, "_to_copy");
    std::vector<Storage>& storages = program.storages;
    storages[static_cast<size_t>(cast->storage)].category = storages[static_cast<size_t>(tensor->storage)].category;
    std::swap(cast->storage, tensor->storage);
    std::swap(cast->dtype, tensor->dtype);
  }
  mark_once(first);
}

void Tape::mark_once(size_t first) {
  for (size_t i = first; i < program.events.size(); ++i) program.events[i].once = true;
}

void Tape::save_output(Node* node, const Tensor& tensor) {
  if (node == nullptr || ghost) return;
  save(node, look(tensor, tensor.shape(), tensor->is_view));
}

void Tape::attach(Node* node, const Tensor& output, uint8_t index) {
  if (node == nullptr) return;
  output->requires_grad = true;
  output->is_leaf = false;
  output->node = node;
  output->output = index;
  ++node->references;
  (index == 0 ? node->first : node->second) = output->shape;
  node->dtype = output.dtype();
}

void Tape::drop_saved(Node* node) {
  for (size_t i = 0; i < node->saved_count; ++i) {
    Saved& saved = node->saved[i];
    saved.tensor.reset();
    if (saved.frame < 0) continue;
    Frame& call = frame_at(std::exchange(saved.frame, -1));
    Tensor& slot = call.slots[static_cast<size_t>(saved.slot)];
    // A graph that nothing holds goes before its layer runs again: what stands in the slot then has no memory.
    slot = call.has_run ? Tensor() : Tensor(new_meta(keep(Shape{}), DType::kBool, -1));
    if (--call.open > 0) continue;
    const std::function<void()> arguments = std::move(call.again);  // they may hold what holds other frames
    call.again = nullptr;
    call.kept.clear();
  }
  node->saved_count = 0;
}

void Tape::let_go(Node* node) {
  if (node->accumulates || --node->references > 0) return;
  // A graph is as deep as the model: a list instead of recursion. Dropping saved tensors may come back here.
  const size_t bottom = going_.size();
  append(going_, node);
  while (going_.size() > bottom) {
    Node* last = going_.back();
    going_.pop_back();
    drop_saved(last);
    if (last->function) last->function = nullptr;
    for (size_t i = 0; i < last->inputs; ++i) {
      Node* next = last->next[i].node;
      if (next != nullptr && !next->accumulates && --next->references == 0) append(going_, next);
    }
    nodes_[static_cast<size_t>(last->index)] = nullptr;
    --live_nodes_;
    for (Tensor& tensor : last->incoming) tensor.reset();
    node_store_.give_back(last);
  }
}

void Tape::release(Meta* meta) {
  if (closing_) return;
  if (meta->node != nullptr && !meta->is_leaf) let_go(meta->node);
  if (meta->storage >= 0 && --program.storages[static_cast<size_t>(meta->storage)].references == 0)
    note(meta->storage, false);
  metas_.give_back(meta);
}

// An event belongs to the turn that is running; but what is made in one repeat and released outside of it (a cached
// cast, a gradient) goes as often as it came.
void Tape::note(int32_t storage, bool birth) {
  int32_t in = turn;
  if (!birth) {
    const int32_t born_in = program.storages[static_cast<size_t>(storage)].turn;
    if (born_in != in && repeat_of(born_in) != repeat_of(in)) in = born_in;
  }
  if (in != open_turn_ || is_full(program.events)) return note_in(in, storage, birth);
  append(program.events, {storage, birth});
  ++program.segments.back().last;
}

void Tape::note_in(int32_t of_turn, int32_t storage, bool birth) {
  if (of_turn != open_turn_) open_segment(of_turn);
  append(program.events, {storage, birth});
  ++program.segments.back().last;
}

void Tape::open_segment(int32_t of_turn) {
  const auto place = static_cast<int32_t>(program.events.size());
  program.segments.push_back({place, place, of_turn});
  program.phases.back().last_segment = static_cast<int32_t>(program.segments.size());
  open_turn_ = of_turn;
}

void Tape::begin_phase(int32_t step, int32_t micro, const char* name) {
  const auto here = static_cast<int32_t>(program.segments.size());
  program.phases.push_back({step, micro, name, here, here});
  open_turn_ = -1;
}

void Tape::repeat(int32_t first, int32_t last) {
  for (int32_t i = first; i < last; ++i) {
    const Segment again = program.segments[static_cast<size_t>(i)];
    program.segments.push_back(again);
  }
  program.phases.back().last_segment = static_cast<int32_t>(program.segments.size());
  open_turn_ = -1;
}

int32_t Tape::begin_segment() {
  open_segment(turn);
  return static_cast<int32_t>(program.segments.size()) - 1;
}

int32_t Tape::enter(const char* name) {
  // The same text is nearly always the same literal.
  const auto find = [&](auto same) {
    int32_t i = links_[static_cast<size_t>(scope)].inner;
    while (i >= 0 && !same(program.scopes[static_cast<size_t>(i)].name)) i = links_[static_cast<size_t>(i)].next;
    return i;
  };
  if (const int32_t known = find([&](const char* other) { return other == name; }); known >= 0) return known;
  if (const int32_t known = find([&](const char* other) { return std::strcmp(other, name) == 0; }); known >= 0)
    return known;
  const auto made = static_cast<int32_t>(program.scopes.size());
  program.scopes.push_back({scope, name});
  links_.push_back({-1, std::exchange(links_[static_cast<size_t>(scope)].inner, made)});
  return made;
}

int32_t Tape::new_turn(int32_t repeat, Expr count) {
  program.turns.push_back({repeat, count, layer});
  return static_cast<int32_t>(program.turns.size()) - 1;
}

int32_t Tape::new_unit() {
  turn_of_unit_.push_back(turn);
  return units() - 1;
}

void Tape::enter_unit(int32_t which) {
  unit = which;
  turn = turn_of_unit_[static_cast<size_t>(which)];
}

OuterUnit::OuterUnit(Tape& tape, Outer part)
    : tape_(tape), part_(static_cast<size_t>(part)), unit_(tape.outer.units[part_]), outer_(tape.unit) {
  if (unit_ == 0) return;
  tape.enter_unit(unit_);
  if (tape.hooks != nullptr && count(true) == 0) tape.hooks->before_forward(unit_);
}

OuterUnit::~OuterUnit() {
  if (unit_ == 0) return;
  OuterUnits& outer = tape_.outer;
  outer.ran[part_] = true;
  if (count(false) == 0) {
    if (tape_.hooks != nullptr) tape_.hooks->after_forward(unit_);
    for (size_t i = 0; i < outer.ran.size(); ++i)
      if (outer.units[i] == unit_) outer.ran[i] = false;
  }
  tape_.enter_unit(outer_);
}

int OuterUnit::count(bool ran) const {
  int found = 0;
  for (size_t i = 0; i < tape_.outer.units.size(); ++i)
    if (tape_.outer.units[i] == unit_ && tape_.outer.ran[i] == ran) ++found;
  return found;
}

}  // namespace peakmem
