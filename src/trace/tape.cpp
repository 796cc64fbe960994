#include "trace/tape.h"

#include <cstring>

namespace peakmem {

void Tensor::let_go() {
  if (--meta_->references == 0) meta_->tape->release(meta_);
}

bool Gradients::needs(size_t input) const { return node.next[input].node != nullptr; }

const Shape& Gradients::input_shape(size_t input) const {
  const Edge& edge = node.next[input];
  return edge.node->shape_of(edge.output);
}

Tensor Gradients::saved(size_t index) const { return node.saved[index].tensor; }

// A slot gives its tensor away, as the unpack hook of torch.utils.checkpoint forgets what it hands out.
void Tape::unpack(Node* node) {
  for (size_t i = 0; i < node->saved_count; ++i) {
    Saved& saved = node->saved[i];
    if (saved.frame < 0) continue;
    Frame& call = frame_at(saved.frame);
    if (!std::exchange(call.has_run, true)) call.again();
    saved.tensor = std::move(call.slots[static_cast<size_t>(saved.slot)]);
  }
}

void Tape::forget_unpacked(Node* node) {
  for (size_t i = 0; i < node->saved_count; ++i)
    if (node->saved[i].frame >= 0) node->saved[i].tensor.reset();
}

Tape::Tape() {
  program.storages.reserve(1024);
  program.events.reserve(2048);
  program.segments.reserve(64);
  nodes_.reserve(1024);
}

void Tape::close() {
  closing_ = true;
  parameters.clear();
  frozen.clear();
  autocast.cache.clear();
}

Program Tape::finish() {
  close();
  return std::move(program);
}

int32_t Tape::new_frame() {
  frames_.emplace_back();
  return static_cast<int32_t>(frames_.size()) - 1;
}

Meta* Tape::new_meta(const KeptShape* shape, DType dtype, int32_t storage) {
  Meta* meta = metas_.make();
  meta->tape = this;
  meta->kept = shape;
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
  node->reached_in = 0;
  node->pending = 0;
  return node;
}

Tensor Tape::make(const Shape& shape, DType dtype, const char* made_by) {
  if (ghost) return Tensor(new_meta(shapes_.keep(shape), dtype, -1));
  Tensor made = make_empty(shape, dtype, made_by);
  fill(made);
  return made;
}

Tensor Tape::make_empty(const Shape& shape, DType dtype, const char* made_by) {
  const auto place = static_cast<int32_t>(program.storages.size());
  const KeptShape* kept = shapes_.keep(shape);
  Storage& storage = program.storages.emplace_back();
  storage.bytes = kept->elements * Expr(size_of(dtype));
  storage.made_by = made_by;
  storage.scope = scope;
  storage.turn = turn;
  storage.references = 1;
  storage.category = category;
  storage.dtype = dtype;
  return Tensor(new_meta(kept, dtype, place));
}

Tensor Tape::look(const Tensor& base, const Shape& shape, bool is_view) {
  const KeptShape* kept = &shape == &base.shape() ? base->kept : shapes_.keep(shape);
  Meta* meta = new_meta(kept, base.dtype(), base->storage);
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
  if (!trained) {
    frozen.push_back({value, nullptr, scope, turn, unit});
    return value;
  }
  program.trained_parameters += elements;
  parameters.push_back({value, new_accumulator(value), scope, turn, unit});
  return value;
}

Node* Tape::new_accumulator(const Tensor& leaf) {
  Node* accumulator = new_node();
  accumulator->accumulates = true;
  accumulator->first = leaf->kept;
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

void Tape::drop_leaves() {
  for (const Tensor& leaf : leaves_) leaf->node->gradient.reset();
  leaves_.clear();
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
  Node* node = new_node();
  node->op = &op;
  node->index = static_cast<int32_t>(nodes_.size());
  nodes_.push_back(node);
  for (const Tensor* input : inputs) {
    Edge& edge = node->next[node->inputs++];
    if (!*input || !(*input)->requires_grad) continue;
    edge = {(*input)->node, (*input)->output};
    if (!edge.node->accumulates) ++edge.node->references;
  }
  return node;
}

void Tape::save(Node* node, const Tensor& tensor) {
  if (node == nullptr || ghost) return;
  Saved& saved = node->saved[node->saved_count++];
  Frame* running = frame >= 0 ? &frame_at(frame) : nullptr;
  if (running != nullptr && !running->has_run) {  // forward of a checkpoint: a slot to fill later
    saved.frame = frame;
    saved.slot = running->saved++;
    ++running->open;
    return;
  }
  saved.tensor = tensor;
  if (tensor->storage >= 0) {
    Storage& storage = program.storages[static_cast<size_t>(tensor->storage)];
    if (storage.saved_by == nullptr) storage.saved_by = node->op->name;
  }
  if (running == nullptr) return;
  // Its second run: the slot gets a share in the storage, and after the last one nothing more is needed.
  running->slots[static_cast<size_t>(running->filled++)] = look(tensor, tensor.shape(), tensor->is_view);
  if (running->filled == running->saved) ghost = true;
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
  (index == 1 ? node->second : node->first) = output->kept;
  node->dtype = output.dtype();
}

void Tape::drop_saved(Node* node) {
  for (size_t i = 0; i < node->saved_count; ++i) {
    Saved& saved = node->saved[i];
    saved.tensor.reset();
    if (saved.frame < 0) continue;
    Frame& call = frame_at(std::exchange(saved.frame, -1));
    if (--call.open > 0) continue;
    const std::function<void()> arguments = std::move(call.again);  // they may hold what holds other frames
    call.again = nullptr;
  }
  node->saved_count = 0;
}

void Tape::let_go(Node* node) {
  // A graph is as deep as the model: a list instead of recursion. Dropping saved tensors may come back here.
  const size_t bottom = going_.size();
  going_.push_back(node);
  while (going_.size() > bottom) {
    Node* last = going_.back();
    going_.pop_back();
    if (last->accumulates || --last->references > 0) continue;
    drop_saved(last);
    last->function = nullptr;
    for (size_t i = 0; i < last->inputs; ++i)
      if (last->next[i].node != nullptr) going_.push_back(last->next[i].node);
    nodes_[static_cast<size_t>(last->index)] = nullptr;
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
  const int32_t born_in = program.storages[static_cast<size_t>(storage)].turn;
  if (!birth && program.turns[static_cast<size_t>(born_in)].repeat != program.turns[static_cast<size_t>(in)].repeat)
    in = born_in;
  const auto place = static_cast<int32_t>(program.events.size());
  Phase& phase = program.phases.back();
  if (phase.last_segment == phase.first_segment || program.segments.back().turn != in) {
    program.segments.push_back({place, place, in});
    phase.last_segment = static_cast<int32_t>(program.segments.size());
  }
  program.events.push_back({storage, birth});
  program.segments.back().last = place + 1;
}

void Tape::begin_phase(int32_t step, int32_t micro, const char* name) {
  const auto here = static_cast<int32_t>(program.segments.size());
  program.phases.push_back({step, micro, name, here, here});
}

int32_t Tape::begin_segment() {
  const auto place = static_cast<int32_t>(program.events.size());
  const auto here = static_cast<int32_t>(program.segments.size());
  program.segments.push_back({place, place, turn});
  program.phases.back().last_segment = here + 1;
  return here;
}

int32_t Tape::enter(const char* name) {
  // Few modules are entered often: look among the latest first.
  for (auto i = static_cast<int32_t>(program.scopes.size()) - 1; i > 0; --i) {
    const ScopeName& known = program.scopes[static_cast<size_t>(i)];
    if (known.parent == scope && (known.name == name || std::strcmp(known.name, name) == 0)) return i;
  }
  program.scopes.push_back({scope, name});
  return static_cast<int32_t>(program.scopes.size()) - 1;
}

int32_t Tape::new_turn(int32_t repeat, Expr count) {
  program.turns.push_back({repeat, count});
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

}  // namespace peakmem
