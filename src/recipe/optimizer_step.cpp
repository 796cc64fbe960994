#include "recipe/optimizer_step.h"

#include <algorithm>
#include <optional>

#include "trace/engine.h"
#include "trace/ops.h"
#include "trace/workspace.h"

namespace peakmem {
namespace {

bool is_matrix(const Parameter& parameter) { return parameter.value.shape().rank >= 2; }
bool is_half(const Parameter& parameter) { return size_of(parameter.value.dtype()) < 4; }

Shape without(const Shape& shape, int dim) {
  Shape result = shape;
  result.size[static_cast<size_t>(dim < 0 ? dim + shape.rank : dim)] = 1;
  return contiguous(result);
}

/// What a tensor of an optimizer needs to be made.
struct Sized {
  const KeptShape* shape;
  DType dtype;
};

Sized sized_like(const Parameter& parameter, Like like, Kept kept) {
  const KeptShape& shape = parameter.value.shape();
  const auto other = [&](const Shape& made) { return &parameter.value.tape().keep(made); };
  const DType dtype = parameter.value.dtype();
  switch (like) {
    case Like::kParameter:
      return {&contiguous(shape), dtype};
    case Like::kParameterFull:
      return {&contiguous(shape), DType::kFloat32};
    case Like::kRows:
      return {other(without(shape, -1)), dtype};
    case Like::kColumns:
      return {other(without(shape, -2)), dtype};
    case Like::kRowsFull:
      return {other(without(shape, -1)), DType::kFloat32};
    case Like::kColumnsFull:
      return {other(without(shape, -2)), DType::kFloat32};
    case Like::kMatrices:
      return {other(without(without(shape, -1), -2)), dtype};
    case Like::kScalar:
      return {other({}), DType::kFloat32};
    case Like::kInBits:
      return {&contiguous(shape), kept.in_8_bits ? DType::kUInt8 : DType::kFloat32};
    case Like::kBlocksFull:
      return {other({kept.whole_blocks ? exact_div(shape.elements(), kStateBlock)
                                       : ceil_div(shape.elements(), kStateBlock)}),
              DType::kFloat32};
    case Like::kHalf:
      return {&contiguous(shape), DType::kBFloat16};
    case Like::kGram:
      return {other({least(shape[0], shape[1]), least(shape[0], shape[1])}), DType::kBFloat16};
    case Like::kCodes:
      return {other({256}), DType::kFloat32};
  }
  return {};
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

/// A Python list goes from its end.
void let_go(std::vector<Tensor> list) {
  while (!list.empty()) list.pop_back();
}

}  // namespace

OptimizerRun::OptimizerRun(Tape& tape, const Optimizer& optimizer, OptimizerImpl impl, std::vector<Kept> kept)
    : tape_(tape), optimizer_(optimizer), impl_(impl), update_(update_of(optimizer, impl)), kept_(std::move(kept)) {
  kept_.resize(tape.parameters.size());
  state_.reserve(2 * kept_.size());
  make_state(Made::kConstruction);
}

bool OptimizerRun::concerns(const State& row, size_t i) const {
  switch (row.of) {
    case State::Of::kAll:
      return true;
    case State::Of::kMatrices:
      return is_matrix(tape_.parameters[i]);
    case State::Of::kVectors:
      return !is_matrix(tape_.parameters[i]);
    case State::Of::kIn8Bits:
      return kept_[i].in_8_bits;
  }
  return false;
}

Tensor OptimizerRun::make(const Parameter& parameter, const Temporary& line) const {
  const Sized sized = sized_like(parameter, line.like, {});
  Tensor made = tape_.make(*sized.shape, sized.dtype, line.op);
  if (line.reduces) run_reduction(gradient_of(parameter), *sized.shape);
  return made;
}

bool OptimizerRun::updates(size_t i) const {
  return kept_[i].taken && static_cast<bool>(gradient_of(tape_.parameters[i]));
}

/// Managed memory is none of the allocator's, and codes are there after the first parameter that asks for them.
void OptimizerRun::keep(size_t i, const State& row) {
  const Parameter& parameter = tape_.parameters[i];
  Sized sized = sized_like(parameter, row.like, kept_[i]);
  if (row.times > 1) sized.shape = &tape_.keep({row.times * sized.shape->elements()});
  if (row.like == Like::kInBits && kept_[i].paged) {
    const Expr count = tape_.program.turns[static_cast<size_t>(parameter.turn)].count;
    tape_.program.managed += count * size_of(sized.dtype) * sized.shape->elements();
    return;
  }
  if (row.like == Like::kCodes) {
    if (std::find(codes_.begin(), codes_.end(), row.name) != codes_.end()) return;
    codes_.push_back(row.name);
  }
  state_.push_back(tape_.make(*sized.shape, sized.dtype, row.name.data()));
}

void OptimizerRun::make_state_of(size_t i, Made when, std::span<const State> rows) {
  const Category outer = std::exchange(tape_.category, Category::kOptimizer);
  for (const State& row : rows)
    if (row.made == when && concerns(row, i)) keep(i, row);
  tape_.category = outer;
}

void OptimizerRun::make_state(Made when) {
  for (size_t i = 0; i < tape_.parameters.size(); ++i) {
    const Parameter& parameter = tape_.parameters[i];
    if (when == Made::kConstruction ? !kept_[i].taken : !updates(i)) continue;
    const At at(tape_, parameter);
    make_state_of(i, when, update_.extra_state);
    make_state_of(i, when, optimizer_.state);
  }
}

void OptimizerRun::run_line(const Temporary& line, size_t i, Names& names) {
  const Parameter& parameter = tape_.parameters[i];
  if (line.only == Temporary::Only::kHalf && !is_half(parameter)) return;
  if (line.only == Temporary::Only::kNoBfloat16 && parameter.value.dtype() == DType::kBFloat16) return;
  std::vector<Tensor>& name = names[line.name];
  switch (line.action) {
    case Temporary::Action::kBind: {
      Tensor made = make(parameter, line);
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
    if (!updates(i)) continue;
    const Parameter& parameter = tape_.parameters[i];
    const At at(tape_, parameter);
    for (const Temporary& line : is_matrix(parameter) ? update_.matrices : update_.vectors) run_line(line, i, names);
  }
}

/// A line for all parameters of the group at once: a list of tensors is bound, then what the name held goes.
void OptimizerRun::bind_all(const Temporary& line, const std::vector<size_t>& group, Names& names) {
  std::vector<Tensor> made;
  for (const size_t i : group) {
    const At at(tape_, tape_.parameters[i]);
    if (line.action == Temporary::Action::kBind) made.push_back(make(tape_.parameters[i], line));
    if (line.action == Temporary::Action::kMakeState && first_) make_state_of(i, Made::kInUpdate, optimizer_.state);
  }
  if (line.action == Temporary::Action::kTake) made = std::move(names[line.other]);
  if (line.action != Temporary::Action::kMakeState) let_go(std::exchange(names[line.name], std::move(made)));
}

/// _group_tensors_by_device_and_dtype: parameters of one dtype, the dtype that is met last first, as the hash map of
/// libstdc++ has them; where matrices and vectors are treated otherwise, these are two groups.
std::vector<std::vector<size_t>> OptimizerRun::foreach_groups(bool together) const {
  std::vector<std::vector<size_t>> by_dtype;
  const auto dtype = [&](size_t i) { return tape_.parameters[i].value.dtype(); };
  for (size_t i = 0; i < tape_.parameters.size(); ++i) {
    if (!updates(i)) continue;
    auto group = std::find_if(by_dtype.begin(), by_dtype.end(), [&](auto& each) { return dtype(each[0]) == dtype(i); });
    if (group == by_dtype.end()) group = by_dtype.emplace(by_dtype.begin());
    group->push_back(i);
  }
  if (together) return by_dtype;
  std::vector<std::vector<size_t>> groups;
  for (const std::vector<size_t>& all : by_dtype)
    for (const bool matrices : {true, false}) {
      std::vector<size_t> group;
      for (const size_t i : all)
        if (is_matrix(tape_.parameters[i]) == matrices) group.push_back(i);
      if (!group.empty()) groups.push_back(std::move(group));
    }
  return groups;
}

void OptimizerRun::run_foreach(bool together) {
  Names names;
  for (const std::vector<size_t>& group : foreach_groups(together))
    for (const Temporary& line : is_matrix(tape_.parameters[group[0]]) ? update_.matrices : update_.vectors)
      bind_all(line, group, names);
  for (std::vector<Tensor>& list : names) let_go(std::move(list));
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

Tensor clip_grad_norm(Tape& tape, bool sharded) {
  const Scope scope(tape, "clip_grad_norm_");
  const Category outer = std::exchange(tape.category, Category::kTemporaries);
  std::vector<Tensor> norms;
  Expr count = 0;
  std::optional<DType> promoted;
  for (const Parameter& parameter : tape.parameters) {
    if (!gradient_of(parameter)) continue;
    const At at(tape, parameter);
    const DType own = gradient_of(parameter).dtype();
    norms.push_back(tape.make(Shape{}, own, "linalg_vector_norm"));
    promoted = promote(promoted.value_or(own), own);
    count += tape.program.turns[static_cast<size_t>(parameter.turn)].count;
  }
  const DType dtype = promoted.value_or(DType::kFloat32);
  Tensor stacked = tape.make({count}, dtype, "stack");
  Tensor reduced = sharded ? sum_over_ranks(stacked) : Tensor();
  Tensor total = tape.make(Shape{}, dtype, "linalg_vector_norm");
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
  return total;
}

}  // namespace peakmem
