// Recording one training step: tensors that have a shape, a dtype and a lifetime but no values.
//
// A Tensor is a handle; when the last handle of a storage goes, the storage is released, unless a node of the tape
// saved it for the backward pass. So C++ scopes play the part of Python's reference counts, and a forward pass
// written in C++ with the names and scopes of the original has the original's memory.
//
//     Tensor ──► Meta ──► Storage        Meta: shape, dtype, the node that made it (PyTorch's TensorImpl)
//                 │
//                 └─────► Node ──► Node  Node: saved tensors and edges to the nodes of its inputs (a grad_fn)
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "size/dtype.h"
#include "trace/arena.h"
#include "trace/hooks.h"
#include "trace/processor.h"
#include "trace/program.h"
#include "trace/reduction.h"
#include "trace/shape_store.h"

namespace peakmem {

class Tape;
struct Node;

/// A tensor's description; several may share a storage.
struct Meta {
  Tape* tape = nullptr;
  const KeptShape* shape = nullptr;
  int32_t storage = -1;
  int32_t references = 0;
  Node* node = nullptr;  // the node that made it, or the accumulator of a leaf
  uint8_t output = 0;    // which output of that node
  DType dtype = DType::kFloat32;
  bool requires_grad = false;
  bool is_leaf = true;
  bool is_view = false;  // a view holds its base: the storage is never its alone
  int32_t cast = -1;     // of a leaf: its place in the autocast cache, -1 if it cannot be cached
};

// A handle given by value goes with the function it was given to, as in Python; and a handle in a register makes the
// WebAssembly module a thirtieth smaller.
#ifdef __clang__
#define PEAKMEM_IN_REGISTERS [[clang::trivial_abi]]
#else
#define PEAKMEM_IN_REGISTERS
#endif

/// A handle that keeps its tensor alive; an empty one is PyTorch's undefined tensor (or None).
class PEAKMEM_IN_REGISTERS Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Meta* meta) : meta_(meta) { hold(); }
  Tensor(const Tensor& other) : meta_(other.meta_) { hold(); }
  Tensor(Tensor&& other) noexcept : meta_(std::exchange(other.meta_, nullptr)) {}
  Tensor& operator=(Tensor other) noexcept {
    std::swap(meta_, other.meta_);
    return *this;
  }
  ~Tensor() {
    if (meta_ != nullptr) let_go();
  }

  explicit operator bool() const { return meta_ != nullptr; }
  Meta* operator->() const { return meta_; }
  Meta* get() const { return meta_; }
  const KeptShape& shape() const { return *meta_->shape; }
  Expr size(int dim) const { return shape()[dim]; }
  DType dtype() const { return meta_->dtype; }
  Tape& tape() const { return *meta_->tape; }
  /// Let the tensor go now, as Python's `del`.
  void reset() { *this = Tensor(); }

 private:
  void hold() {
    if (meta_ != nullptr) ++meta_->references;
  }
  void let_go();
  Meta* meta_ = nullptr;
};

/// An edge of the graph: an input's gradient goes to this output of this node.
struct Edge {
  Node* node = nullptr;
  uint8_t output = 0;
};

/// A tensor kept for the backward pass: itself, or a slot that a checkpoint fills by running its layer again.
struct Saved {
  Tensor tensor;
  int32_t frame = 0;  // of Tape's frames, -1 if none
  int32_t slot = 0;
};

/// What a backward rule works on: gradients come in by output, go out by input.
struct Gradients {
  Node& node;
  std::array<Tensor, 3>& in;
  std::array<Tensor, 4>& out;

  /// Whether that input wants a gradient.
  bool needs(size_t input) const;
  /// The sizes of that input, which must want a gradient.
  const KeptShape& input_shape(size_t input) const;
  /// A saved tensor.
  Tensor saved(size_t index) const;
};

/// An op as autograd knows it: aten's name, and the rule of its backward (what it allocates, in which order).
struct Op {
  const char* name;
  void (*backward)(Gradients&) = nullptr;
};

/// The backward of an op whose nodes have functions of their own.
void run_function(Gradients& g);

/// A grad_fn. A new one is all zeros, which is made fastest; Tape::new_node says what is not.
struct Node {
  Node() {}   // a saved tensor is made when it is saved,
  ~Node() {}  // and let go by Tape::drop_saved
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  const KeptShape& shape_of(uint8_t output) const { return *(output == 1 ? second : first); }
  const KeptShape& shape() const { return *first; }

  static constexpr size_t kMaxInputs = 4;
  static constexpr size_t kMaxSaved = 8;
  const Op* op = nullptr;
  int32_t references = 0;
  int32_t index = 0;  // order of creation; autograd runs the newest first
  int32_t scope = 0;
  int32_t unit = 0;
  std::array<Edge, kMaxInputs> next;
  uint8_t inputs = 0;
  uint8_t saved_count = 0;
  union {
    std::array<Saved, kMaxSaved> saved;  // those up to saved_count; the rest, two cache lines, is not touched
  };
  const KeptShape* first = nullptr;   // shape of its outputs
  const KeptShape* second = nullptr;  // of output 1, which may differ
  DType dtype = DType::kFloat32;
  std::array<int, 2> dims = {0, 0};          // a view's dimensions, or settings of a kernel
  Expr kernel_size;                          // of an attention: KernelSizes::bias_row or columns; of a copy: its width
  std::function<void(Gradients&)> function;  // of a custom autograd function

  // Accumulators of leaves (AccumulateGrad) have these.
  bool accumulates = false;
  bool causal = false;  // of an attention: its kernel leaves out what the mask hides
  Tensor gradient;

  // While a backward pass runs.
  std::array<Tensor, 3> incoming;
  int32_t reached_in = 0;
  int32_t pending = 0;
};

/// A checkpointed call: how to run it again, and what running it again gave (torch.utils.checkpoint,
/// use_reentrant=False).
struct Frame {
  std::function<void()> again;
  std::vector<Tensor> slots;
  int32_t saved = 0;   // slots the forward pass asked for
  int32_t filled = 0;  // slots the second run has given
  int32_t open = 0;    // slots not released yet; the call's arguments live as long
  bool has_run = false;
  bool stops_early = true;  // the second run, once all slots are filled
  /// Selective checkpointing: whether what the op of that name makes is kept rather than made again; none: nothing is.
  /// It counts in `counted` what it wants to.
  bool (*keeps)(std::string_view made_by, int64_t& counted) = nullptr;
  std::vector<Tensor> kept;  // in the order they were made
  size_t given = 0;          // of them, to the second run
  int64_t counted = 0;       // in this run
};

/// A trained tensor with its gradient's accumulator.
struct Parameter {
  Tensor value;
  Node* accumulator;
  int32_t scope;
  int32_t turn;
  int32_t unit;
  bool of_embedding = false;  // an embedding's weight, whoever else uses it
};

/// A module that has a parameter of another one's too, as a tied head has the embedding's.
struct SharedParameter {
  int32_t scope;
  Tensor value;
};

/// Parts of a model outside of its layers that may be in units of their own.
enum class Outer : uint8_t { kEmbedding, kNorm, kHead };

/// Their units, by Outer (0: the model's own), and which of them ran since their unit's forward pass began.
struct OuterUnits {
  std::array<int32_t, 3> units = {};
  std::array<bool, 3> ran = {};
};

/// torch.autocast: the dtype that matrix products run in, and the leaves (weights, a recomputed layer's
/// input) cast so far.
struct Autocast {
  bool enabled = false;
  DType dtype = DType::kBFloat16;
  std::vector<Tensor> cache;  // by Meta::cast
};

/// The recorder.
class Tape {
 public:
  Tape();
  ~Tape() { close(); }
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// The trace's one object of that shape.
  const KeptShape& keep(const Shape& shape) { return shapes_.keep(shape); }
  /// A new tensor with storage of its own.
  Tensor make(const KeptShape& shape, DType dtype, const char* made_by);
  Tensor make(const Shape& shape, DType dtype, const char* made_by) { return make(keep(shape), dtype, made_by); }
  /// The same without memory yet (see fill).
  Tensor make_empty(const KeptShape& shape, DType dtype, const char* made_by);
  Tensor make_empty(const Shape& shape, DType dtype, const char* made_by) {
    return make_empty(keep(shape), dtype, made_by);
  }
  /// A tensor that looks at another's storage.
  Tensor look(const Tensor& base, const KeptShape& shape, bool is_view);
  Tensor look(const Tensor& base, const Shape& shape, bool is_view) { return look(base, keep(shape), is_view); }
  /// A weight; a frozen one wants no gradient.
  Tensor parameter(const Shape& shape, DType dtype, const char* name, bool trained = true);
  Tensor buffer(const Shape& shape, DType dtype, const char* name);
  /// Give a tensor's storage memory, or take it away, while its handles go on (UntypedStorage.resize_).
  void fill(const Tensor& tensor) { note(tensor->storage, true); }
  void empty(const Tensor& tensor) { note(tensor->storage, false); }
  /// tensor.data = tensor.data.to(dtype): its handles see the cast one from now on, which no later step makes again.
  void cast_for_good(const Tensor& tensor, DType dtype);
  /// Events from that one on are of the first step alone.
  void mark_once(size_t first);
  /// A tensor as a leaf that gathers a gradient.
  Tensor leaf(Tensor tensor);
  /// A leaf that looks at another tensor's storage and gathers a gradient of its own (x.detach().requires_grad_()).
  Tensor detached_leaf(const Tensor& tensor);
  /// x.requires_grad_() of a tensor without a graph: it gathers a gradient and lives with it until its Leaves go, since
  /// the graph that ends in it holds it.
  void require_grad(const Tensor& tensor);
  /// The leaves of the graph that are no parameters: who holds the graph holds them.
  std::vector<Tensor> take_leaves() { return std::exchange(leaves_, {}); }
  /// Whether anything but a parameter wants a gradient, of what was recorded since node `first`.
  bool has_graph(int32_t first) const { return nodes() > first || !leaves_.empty(); }

  /// A node for an op whose inputs these are; null when none of them wants a gradient. In a checkpoint's second run one
  /// node stands in for all: nobody runs them, and the slots hold what they would save for longer than they lived. Only
  /// those with a function of their own, which may hold more, are made, to live as long as the run.
  Node* record(const Op& op, std::initializer_list<const Tensor*> inputs);
  /// Keep a tensor for a node's backward; null nodes keep nothing.
  void save(Node* node, const Tensor& tensor);
  /// Keep an op's own output for its backward (without holding the node that made it).
  void save_output(Node* node, const Tensor& tensor);
  /// Make `output` the node's output.
  static void attach(Node* node, const Tensor& output, uint8_t index = 0);

  /// What happens from now on belongs to this phase.
  void begin_phase(int32_t step, int32_t micro, const char* name);
  /// Do again what segments [first, last) did; what happens from now on follows.
  void repeat(int32_t first, int32_t last);
  /// The segment that what happens from now on in this phase will be in.
  int32_t begin_segment();
  /// Category of what is made from now on.
  Category category = Category::kActivations;

  bool grad_mode = true;
  /// model.train(): dropout is on.
  bool training = true;
  /// Whether adapters take part; PEFT's disable_adapter() leaves them out.
  bool adapters = true;
  /// Parameters are made without memory (torch.device("meta")); who cuts them to shards fills them.
  bool meta_parameters = false;
  /// torch.nn.functional.linear is a function of Python's, which saves all it was given (DeepSpeed's under ZeRO 3).
  bool linear_function = false;
  Hooks* hooks = nullptr;
  int32_t end_of_model = 0;  // nodes from here on were made of what the model returned
  Autocast autocast;
  Processor processor;
  ReductionWorkspaces reductions;
  std::vector<int64_t> symbol_values;  // of the sizes' pool, the job's own; empty where sizes are numbers
  /// Whether ops take place: a checkpoint's second run stops after the last tensor needed.
  bool ghost = false;
  bool runs_again = false;    // a checkpointed layer, for the second time
  std::vector<Tensor> aside;  // what it gives then besides its output; goes when its backward pass is over
  /// The checkpoint whose forward (or second) run this is, -1 if none.
  int32_t frame = -1;
  Program program;
  std::vector<Parameter> parameters;
  /// Parameters that are not trained; they have no accumulator.
  std::vector<Parameter> frozen;
  std::vector<SharedParameter> shared;
  int32_t scope = 0;
  int32_t turn = 0;
  int32_t unit = 0;
  int64_t layer = 0;  // the number of the layer that is being made
  OuterUnits outer;

  int32_t enter(const char* name);
  /// The module of that name in the running scope has another's parameter.
  void share(const char* name, const Tensor& parameter) { shared.push_back({enter(name), parameter}); }
  int32_t new_turn(int32_t repeat, Expr count);
  int32_t new_repeat() { return ++repeats_; }
  /// A new unit of the turn that is running.
  int32_t new_unit();
  /// What happens from now on is in this unit and its turn.
  void enter_unit(int32_t which);
  int32_t units() const { return static_cast<int32_t>(turn_of_unit_.size()); }

  /// Run a checkpointed call again, to fill its slots.
  void run_again(Frame& call);
  /// A new checkpointed call, and any of them.
  int32_t new_frame();
  Frame& frame_at(int32_t index) { return *frames_[static_cast<size_t>(index)]; }

  /// The finished trace; nothing that happens to tensors afterwards is part of it.
  Program finish();

  // For handles and the engine.
  void release(Meta* meta);
  void let_go(Node* node);
  void drop_saved(Node* node);
  /// Make a node's saved tensors available: the first one asked for of a checkpointed layer runs the layer again.
  void unpack(Node* node);
  /// What a checkpoint gave goes with the rule that asked for it.
  static void forget_unpacked(Node* node);
  Node* node(int32_t index) { return nodes_[static_cast<size_t>(index)]; }
  int32_t nodes() const { return static_cast<int32_t>(nodes_.size()); }
  int32_t next_run() { return ++runs_; }

 private:
  void close();
  /// The same for a checkpoint that keeps some, where it is run again what it kept.
  Tensor make_or_keep(const KeptShape& shape, DType dtype, const char* made_by);
  Tensor make_new(const KeptShape& shape, DType dtype, const char* made_by);
  int32_t new_storage(const KeptShape& shape, DType dtype, const char* made_by);
  Meta* new_meta(const KeptShape& shape, DType dtype, int32_t storage);
  Node* new_node();
  Node* new_accumulator(const Tensor& leaf);
  void note(int32_t storage, bool birth);
  PEAKMEM_RARE void note_in(int32_t of_turn, int32_t storage, bool birth);
  void open_segment(int32_t of_turn);
  int32_t repeat_of(int32_t of_turn) const { return program.turns[static_cast<size_t>(of_turn)].repeat; }

  /// Where the scopes within a scope are found, and those beside it.
  struct ScopeLinks {
    int32_t inner = -1;
    int32_t next = -1;
  };

  ShapeStore shapes_;
  Arena<Meta> metas_;  // outlives all that holds tensors
  Arena<Node> node_store_;
  std::vector<std::unique_ptr<Frame>> frames_;
  std::vector<Tensor> leaves_;  // that are no parameters
  std::vector<Node*> going_;    // scratch of let_go
  Node stand_in_;               // see record
  std::vector<Node*> again_;    // nodes of a second run
  std::vector<Node*> nodes_;    // by index; null once it is gone
  std::vector<int32_t> turn_of_unit_ = {0};
  std::vector<ScopeLinks> links_ = {{}};  // of the program's scopes
  int32_t open_turn_ = -1;                // of the phase's last segment, -1 if it has none yet
  int32_t live_nodes_ = 0;
  int32_t repeats_ = 0;
  int32_t casts_ = 0;
  int32_t runs_ = 0;
  bool closing_ = false;
};

/// The module that is running; ends with the C++ scope.
class Scope {
 public:
  Scope(Tape& tape, const char* name) : tape_(tape), outer_(tape.scope) {
    tape.scope = tape.enter(name);
    if (tape.hooks != nullptr) tape.hooks->before_module(tape.scope);
  }
  ~Scope() {
    if (tape_.hooks != nullptr) tape_.hooks->after_module(tape_.scope);
    tape_.scope = outer_;
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Tape& tape_;
  int32_t outer_;
};

/// The unit whose forward pass is running, for the first time or again; ends with the C++ scope.
class Unit {
 public:
  Unit(Tape& tape, int32_t unit) : tape_(tape), unit_(unit), outer_(tape.unit) {
    tape.enter_unit(unit);
    if (tape.hooks != nullptr) tape.hooks->before_forward(unit);
  }
  ~Unit() {
    if (tape_.hooks != nullptr) tape_.hooks->after_forward(unit_);
    if (unit_ == 0 && tape_.grad_mode) tape_.end_of_model = tape_.nodes();
    if (unit_ == 0) tape_.outer.ran = {};  // a head that only its weight was asked of
    tape_.enter_unit(outer_);
  }
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;

 private:
  Tape& tape_;
  int32_t unit_;
  int32_t outer_;
};

/// A part outside of layers that runs, in its unit if it has one: the first to run of a unit's parts begins its forward
/// pass, the last one ends it. Ends with the C++ scope.
class OuterUnit {
 public:
  OuterUnit(Tape& tape, Outer part);
  ~OuterUnit();
  OuterUnit(const OuterUnit&) = delete;
  OuterUnit& operator=(const OuterUnit&) = delete;

 private:
  /// Of this unit's parts, how many have run or not.
  int count(bool ran) const;

  Tape& tape_;
  size_t part_;
  int32_t unit_;
  int32_t outer_;
};

/// torch.no_grad; ends with the C++ scope.
class NoGrad {
 public:
  explicit NoGrad(Tape& tape) : tape_(tape), outer_(std::exchange(tape.grad_mode, false)) {}
  ~NoGrad() { tape_.grad_mode = outer_; }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  Tape& tape_;
  bool outer_;
};

}  // namespace peakmem
