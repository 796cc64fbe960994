#include "train/optimizer_step.h"

#include <algorithm>

#include "trace/engine.h"

namespace peakmem {
namespace {

bool is_matrix(const Parameter& parameter) { return parameter.value.shape().rank >= 2; }
bool is_half(const Parameter& parameter) { return size_of(parameter.value.dtype()) < 4; }

bool concerns(const State& row, const Parameter& parameter) {
  return row.of == State::Of::kAll || (row.of == State::Of::kMatrices) == is_matrix(parameter);
}

Shape without(const Shape& shape, int dim) {
  Shape result = shape;
  result.size[static_cast<size_t>(dim < 0 ? dim + shape.rank : dim)] = 1;
  return contiguous(result);
}

/// What is made while it lives belongs to the parameter: its turn, its place in the model.
class At {
 public:
  At(Tape& tape, const Parameter& parameter)
      : tape_(tape),
        scope_(std::exchange(tape.scope, parameter.scope)),
        turn_(std::exchange(tape.turn, parameter.turn)) {}
  ~At() {
    tape_.scope = scope_;
    tape_.turn = turn_;
  }
  At(const At&) = delete;
  At& operator=(const At&) = delete;

 private:
  Tape& tape_;
  int32_t scope_;
  int32_t turn_;
};

/// The norms of whole gradients from those of shards: powers are summed over ranks, then the root is taken
/// (_NormPartial of torch 2.13, distributed/tensor/_ops/_math_ops.py).
Tensor sum_over_ranks(const Tensor& norms) {
  Tape& tape = norms.tape();
  const auto alike = [&](const char* op) { return tape.make(norms.shape(), norms.dtype(), op); };
  const Tensor powers = alike("pow");
  Tensor sent = alike("all_reduce");
  const Tensor received = alike("wait_tensor");
  sent.reset();
  return alike("pow");
}

bool makes_state_on_the_way(const Update& update) {
  const auto makes = [](const Temporary& line) { return line.action == Temporary::Action::kMakeState; };
  return std::any_of(update.matrices.begin(), update.matrices.end(), makes) ||
         std::any_of(update.vectors.begin(), update.vectors.end(), makes);
}

}  // namespace

OptimizerRun::OptimizerRun(Tape& tape, const Optimizer& optimizer, OptimizerImpl impl)
    : tape_(tape), optimizer_(optimizer), impl_(impl), update_(update_of(optimizer, impl)) {
  state_.reserve(2 * tape.parameters.size());
  make_state(Made::kConstruction);
}

Tensor OptimizerRun::make(const Parameter& parameter, Like like, const char* op) {
  const KeptShape& shape = parameter.value.shape();
  const DType dtype = parameter.value.dtype();
  switch (like) {
    case Like::kParameter:
      return tape_.make(contiguous(shape), dtype, op);
    case Like::kParameterFull:
      return tape_.make(contiguous(shape), DType::kFloat32, op);
    case Like::kRows:
      return tape_.make(without(shape, -1), dtype, op);
    case Like::kColumns:
      return tape_.make(without(shape, -2), dtype, op);
    case Like::kRowsFull:
      return tape_.make(without(shape, -1), DType::kFloat32, op);
    case Like::kColumnsFull:
      return tape_.make(without(shape, -2), DType::kFloat32, op);
    case Like::kElement:
      return tape_.make(Shape{}, dtype, op);
    case Like::kScalar:
      return tape_.make(Shape{}, DType::kFloat32, op);
  }
  return {};
}

void OptimizerRun::make_state_of(size_t i, Made when, std::span<const State> rows) {
  const Parameter& parameter = tape_.parameters[i];
  const Category outer = std::exchange(tape_.category, Category::kOptimizer);
  for (const State& row : rows)
    if (row.made == when && concerns(row, parameter)) state_.push_back(make(parameter, row.like, row.name.data()));
  tape_.category = outer;
}

void OptimizerRun::make_state(Made when) {
  for (size_t i = 0; i < tape_.parameters.size(); ++i) {
    const Parameter& parameter = tape_.parameters[i];
    if (when != Made::kConstruction && !gradient_of(parameter)) continue;
    const At at(tape_, parameter);
    make_state_of(i, when, update_.extra_state);
    make_state_of(i, when, optimizer_.state);
  }
}

void OptimizerRun::run_line(const Temporary& line, size_t i, Names& names) {
  const Parameter& parameter = tape_.parameters[i];
  if (line.half_only && !is_half(parameter)) return;
  std::vector<Tensor>& name = names[line.name];
  switch (line.action) {
    case Temporary::Action::kBind: {
      Tensor made = make(parameter, line.like, line.op);
      name.clear();
      name.push_back(std::move(made));
      break;
    }
    case Temporary::Action::kDrop:
      name.clear();
      break;
    case Temporary::Action::kTake:
      name = std::move(names[line.other]);
      break;
    case Temporary::Action::kMakeState:
      if (first_) make_state_of(i, Made::kInUpdate, optimizer_.state);
      break;
  }
}

void OptimizerRun::run_loop() {
  Names names;
  for (size_t i = 0; i < tape_.parameters.size(); ++i) {
    const Parameter& parameter = tape_.parameters[i];
    if (!gradient_of(parameter)) continue;
    const At at(tape_, parameter);
    for (const Temporary& line : is_matrix(parameter) ? update_.matrices : update_.vectors) run_line(line, i, names);
  }
}

/// A line for all parameters of the group at once: a list of tensors is bound, then what the name held goes.
void OptimizerRun::bind_all(const Temporary& line, const std::vector<size_t>& group, Names& names) {
  std::vector<Tensor> made;
  for (const size_t i : group) {
    const At at(tape_, tape_.parameters[i]);
    if (line.action == Temporary::Action::kBind) made.push_back(make(tape_.parameters[i], line.like, line.op));
    if (line.action == Temporary::Action::kMakeState && first_) make_state_of(i, Made::kInUpdate, optimizer_.state);
  }
  if (line.action == Temporary::Action::kTake) made = std::move(names[line.other]);
  if (line.action != Temporary::Action::kMakeState) names[line.name] = std::move(made);
}

// Where matrices and vectors are treated alike they are one group, as PyTorch has it.
void OptimizerRun::run_foreach(bool together) {
  Names names;
  for (const bool matrices : {true, false}) {
    std::vector<size_t> group;
    for (size_t i = 0; i < tape_.parameters.size(); ++i)
      if (gradient_of(tape_.parameters[i]) && (together || is_matrix(tape_.parameters[i]) == matrices))
        group.push_back(i);
    for (const Temporary& line : matrices ? update_.matrices : update_.vectors) bind_all(line, group, names);
    if (together) break;
  }
}

void OptimizerRun::step() {
  const Category outer = std::exchange(tape_.category, Category::kTemporaries);
  if (first_) make_state(Made::kFirstStep);
  if (first_ && !makes_state_on_the_way(update_)) steady_segment_ = tape_.begin_segment();
  if (impl_ == OptimizerImpl::kLoop) {
    run_loop();
  } else {
    run_foreach(update_.matrices.data() == update_.vectors.data());
  }
  first_ = false;
  tape_.category = outer;
}

void clip_grad_norm(Tape& tape, bool sharded) {
  const Scope scope(tape, "clip_grad_norm_");
  const Category outer = std::exchange(tape.category, Category::kTemporaries);
  std::vector<Tensor> norms;
  Expr count = 0;
  DType dtype = DType::kFloat32;
  for (const Parameter& parameter : tape.parameters) {
    if (!gradient_of(parameter)) continue;
    const At at(tape, parameter);
    dtype = gradient_of(parameter).dtype();
    norms.push_back(tape.make(Shape{}, dtype, "linalg_vector_norm"));
    count += tape.program.turns[static_cast<size_t>(parameter.turn)].count;
  }
  Tensor stacked = tape.make({count}, dtype, "stack");
  Tensor reduced = sharded ? sum_over_ranks(stacked) : Tensor();
  const Tensor total = tape.make(Shape{}, dtype, "linalg_vector_norm");
  reduced.reset();
  stacked.reset();
  norms.clear();
  Tensor sum = tape.make(Shape{}, dtype, "add");
  Tensor reciprocal = tape.make(Shape{}, dtype, "reciprocal");
  const Tensor coefficient = tape.make(Shape{}, dtype, "mul");
  reciprocal.reset();
  sum.reset();
  const Tensor clamped = tape.make(Shape{}, dtype, "clamp");
  tape.category = outer;
}

}  // namespace peakmem
