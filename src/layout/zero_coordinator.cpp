#include "layout/zero_coordinator.h"

#include <algorithm>
#include <utility>

namespace peakmem {
namespace {

/// tensor.data = a stretch of another one; what it looked at before goes if nothing else does.
void look_into(const Tensor& tensor, const Tensor& other) {
  const Tensor view = tensor.tape().look(other, tensor.shape(), true);
  std::swap(view->storage, tensor->storage);
}

/// What is made is a parameter's; ends with the C++ scope.
class At {
 public:
  At(Tape& tape, const CutParameter& cut)
      : tape_(tape),
        scope_(std::exchange(tape.scope, cut.whole.scope)),
        category_(std::exchange(tape.category, Category::kWeights)) {}
  ~At() {
    tape_.scope = scope_;
    tape_.category = category_;
  }
  At(const At&) = delete;
  At& operator=(const At&) = delete;

 private:
  Tape& tape_;
  int32_t scope_;
  Category category_;
};

}  // namespace

ZeroCoordinator::ZeroCoordinator(Tape& tape, const Zero& zero, std::vector<CutParameter> parameters)
    : tape_(tape),
      zero_(zero),
      modules_(tape),
      parameters_(std::move(parameters)),
      nothing_(tape.make_empty({}, DType::kBool, "parameter")),
      states_(parameters_.size()) {
  load();
}

/// zero.Init: a module's parameters are cut when it has been made, those of one that is tied afterwards too; then each
/// is gathered to be filled from the checkpoint.
void ZeroCoordinator::load() {
  for (CutParameter& each : parameters_)
    if (each.is_loaded) cut(each);
  for (const CutParameter& cut : parameters_)
    for (const SharedParameter& shared : tape_.shared) {
      if (shared.value.get() != cut.whole.value.get()) continue;
      const At at(tape_, cut);
      const Tensor untied = tape_.make(cut.whole.value.shape(), cut.whole.value.dtype(), "parameter");
      if (!zero_.offloads_parameters) tape_.make({cut.share}, cut.whole.value.dtype(), "parameter").reset();
    }
  for (const CutParameter& each : parameters_)
    if (each.is_loaded) gather_for_a_moment(each);
}

void ZeroCoordinator::cut(CutParameter& cut) {
  const At at(tape_, cut);
  tape_.fill(cut.whole.value);
  if (!zero_.offloads_parameters) cut.part = tape_.make({cut.share}, cut.whole.value.dtype(), "parameter");
  look_into(cut.whole.value, nothing_);
}

void ZeroCoordinator::cut_adapters() {
  for (CutParameter& each : parameters_)
    if (!each.is_loaded) cut(each);
}

/// reset_step
void ZeroCoordinator::begin_pass() {
  clear_flights();
  if (order_ == Order::kUnknown) modules_in_order_.clear();
  order_ = order_ == Order::kUnknown ? Order::kRecorded : Order::kKnown;
  coming_.clear();
  if (order_ == Order::kKnown)
    for (size_t step = 0; step < modules_in_order_.size(); ++step)
      for (const size_t parameter : modules_.parameters(modules_in_order_[step]))
        coming_.push_back({parameter, static_cast<int64_t>(step)});
  for (State& state : states_) state.fetched_for = kNever;
  step_ = 0;
  live_ = 0;
}

/// fetch_sub_module: a frozen parameter that runs again is used by the module whose backward pass asked for it, for
/// it has none of its own (update_recompute_parameters).
void ZeroCoordinator::fetch(int32_t module, Pass pass) {
  check_order(module);
  if (order_ == Order::kRecorded) modules_in_order_.push_back(module);
  if (pass == Pass::kBackward && module >= 0) backward_.push_back(module);
  const std::vector<size_t>& wanted = modules_.parameters(module);
  gather(wanted);
  for (const size_t parameter : wanted) {
    use(parameter, module);
    if (pass == Pass::kAgain && !backward_.empty() && parameters_[parameter].whole.accumulator == nullptr) {
      again_[backward_.back()].push_back(parameter);
      use(parameter, backward_.back());
    }
    wait_for(parameter);
  }
  if (order_ == Order::kKnown) {
    forget_uses(wanted);
    prefetch();
  }
  ++step_;
}

/// trace_prologue: where another module comes than was noted, what is under way is let go, and nothing is known until
/// two more passes have begun.
void ZeroCoordinator::check_order(int32_t module) {
  if (order_ != Order::kKnown) return;
  const auto step = static_cast<size_t>(step_);
  if (step < modules_in_order_.size() && modules_in_order_[step] == module) return;
  order_ = Order::kUnknown;
  coming_.clear();
  clear_flights();
}

void ZeroCoordinator::use(size_t parameter, int32_t module) {
  std::vector<int32_t>& active = states_[parameter].active;
  if (std::find(active.begin(), active.end(), module) == active.end()) active.push_back(module);
}

/// What is fetched now need not be fetched ahead.
void ZeroCoordinator::forget_uses(const std::vector<size_t>& fetched) {
  auto missing = std::count_if(fetched.begin(), fetched.end(),
                               [this](size_t parameter) { return states_[parameter].fetched_for < step_; });
  for (; missing > 0 && !coming_.empty(); --missing) {
    states_[coming_.front().parameter].fetched_for = coming_.front().step;
    coming_.pop_front();
  }
}

void ZeroCoordinator::prefetch() {
  const int64_t most = std::min(zero_.max_live_parameters - live_, zero_.prefetch_bucket);
  std::vector<size_t> wanted;
  int64_t elements = 0;
  while (!coming_.empty() && elements < most) {
    const Use use = coming_.front();
    coming_.pop_front();
    State& state = states_[use.parameter];
    state.fetched_for = std::max(state.fetched_for, use.step);
    const bool is_wanted = std::find(wanted.begin(), wanted.end(), use.parameter) != wanted.end();
    if (state.status != Status::kCut || is_wanted) continue;
    wanted.push_back(use.parameter);
    elements += parameters_[use.parameter].elements;
  }
  gather(wanted);
}

/// __all_gather_params: one alone into a buffer that it then looks into, several into one that they are cut out of.
void ZeroCoordinator::gather(const std::vector<size_t>& wanted) {
  const auto flight = std::make_shared<Flight>();
  for (const size_t parameter : wanted)
    if (states_[parameter].status == Status::kCut) flight->parameters.push_back(parameter);
  if (flight->parameters.empty()) return;
  std::sort(flight->parameters.begin(), flight->parameters.end());
  for (const size_t parameter : flight->parameters) {
    live_ += parameters_[parameter].elements;
    states_[parameter].status = Status::kInFlight;
    in_flight_[parameter] = flight;
  }
  if (flight->parameters.size() == 1 || zero_.ranks == 1)
    for (const size_t parameter : flight->parameters) gather_one(parameters_[parameter], stream(), *flight);
  else
    gather_together(*flight);
}

Tensor ZeroCoordinator::make(const CutParameter& cut, int64_t elements, const char* made_by, Stream stream) const {
  const At at(tape_, cut);
  tape_.category = Category::kTemporaries;
  Tensor made = tape_.make({elements}, cut.whole.value.dtype(), made_by);
  tape_.program.storages[static_cast<size_t>(made->storage)].stream = stream;
  return made;
}

/// A part that the host has comes to the device first.
Tensor ZeroCoordinator::sent(const CutParameter& cut, Stream stream) const {
  return cut.part ? cut.part : make(cut, cut.share, "_to_copy", stream);
}

void ZeroCoordinator::gather_one(const CutParameter& cut, Stream stream, Flight& flight) {
  if (zero_.ranks == 1) return look_into(cut.whole.value, sent(cut, stream));
  const Tensor gathered = make(cut, zero_.ranks * cut.share, "all_gather", stream);
  flight.sent.push_back(sent(cut, stream));
  look_into(cut.whole.value, gathered);
}

void ZeroCoordinator::gather_together(Flight& flight) {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    const CutParameter* first = nullptr;
    int64_t elements = 0;
    for (const size_t parameter : flight.parameters) {
      const CutParameter& cut = parameters_[parameter];
      if (cut.whole.value.dtype() != dtype) continue;
      if (first == nullptr) first = &cut;
      elements += cut.share;
    }
    if (first == nullptr) continue;
    flight.gathered.push_back(make(*first, zero_.ranks * elements, "all_gather", stream()));
    std::vector<Tensor> parts;
    for (const size_t parameter : flight.parameters)
      if (parameters_[parameter].whole.value.dtype() == dtype) parts.push_back(sent(parameters_[parameter], stream()));
  }
}

void ZeroCoordinator::wait_for(size_t parameter) {
  const auto found = in_flight_.find(parameter);
  if (found == in_flight_.end()) return;
  const std::shared_ptr<Flight> flight = std::move(found->second);
  in_flight_.erase(found);
  end(*flight);
}

/// AllGatherCoalescedHandle.wait: each is cut out by cat; what was gathered stays as long as anybody is to be waited
/// for.
void ZeroCoordinator::end(Flight& flight) {
  if (std::exchange(flight.is_over, true)) return;
  flight.sent.clear();
  for (const size_t parameter : flight.parameters) {
    const CutParameter& cut = parameters_[parameter];
    if (!flight.gathered.empty()) look_into(cut.whole.value, make(cut, cut.elements, "cat", stream()));
    states_[parameter].status = Status::kWhole;
  }
}

/// __release_param
void ZeroCoordinator::let_go(size_t parameter) {
  State& state = states_[parameter];
  if (state.status != Status::kWhole || !state.active.empty()) return;
  CutParameter& cut = parameters_[parameter];
  if (zero_.ranks > 1 && cut.kept && cut.whole.value->storage == cut.kept->storage) tape_.empty(cut.kept);
  look_into(cut.whole.value, nothing_);
  state.status = Status::kCut;
  live_ -= cut.elements;
}

/// Which parameters a module's end releases in a pass whose order is known (__params_to_release).
std::vector<bool> ZeroCoordinator::released_by(int32_t module) const {
  std::vector<bool> released(parameters_.size());
  for (const size_t parameter : modules_.parameters(module))
    released[parameter] = !parameters_[parameter].persists && states_[parameter].fetched_for <= step_;
  int64_t passed = 0;
  for (auto at = static_cast<size_t>(step_); at < modules_in_order_.size() && passed < zero_.max_reuse_distance; ++at)
    for (const size_t parameter : modules_.parameters(modules_in_order_[at])) {
      released[parameter] = false;
      passed += parameters_[parameter].elements;
    }
  return released;
}

/// release_sub_module
void ZeroCoordinator::release(int32_t module, Pass pass) {
  if (module < 0) return;
  std::vector<size_t> own = modules_.parameters(module);
  std::vector<bool> released =
      order_ == Order::kKnown ? released_by(module) : std::vector<bool>(parameters_.size(), true);
  if (pass == Pass::kBackward) {
    std::erase(backward_, module);
    if (auto ran = again_.extract(module))
      for (const size_t parameter : ran.mapped()) {
        own.push_back(parameter);
        released[parameter] = !parameters_[parameter].persists;
      }
  }
  for (const size_t parameter : own) {
    std::erase(states_[parameter].active, module);
    if (released[parameter]) let_go(parameter);
  }
}

/// release_backward_leftovers
void ZeroCoordinator::release_leftovers() {
  for (; !backward_.empty(); backward_.pop_back()) {
    const int32_t module = backward_.back();
    std::vector<size_t> own = modules_.parameters(module);
    if (auto ran = again_.extract(module)) own.insert(own.end(), ran.mapped().begin(), ran.mapped().end());
    for (const size_t parameter : own) {
      std::erase(states_[parameter].active, module);
      if (!parameters_[parameter].persists) let_go(parameter);
    }
  }
}

void ZeroCoordinator::clear_flights() {
  const std::map<size_t, std::shared_ptr<Flight>> flights = std::exchange(in_flight_, {});
  for (const auto& [parameter, flight] : flights) {
    end(*flight);
    let_go(parameter);
  }
}

/// release_and_reset_all
void ZeroCoordinator::partition_all() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    wait_for(i);
    states_[i].active.clear();
    let_go(i);
  }
}

/// _post_step: each into a buffer of its own, which every step makes anew.
void ZeroCoordinator::gather_persistent() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    CutParameter& cut = parameters_[i];
    if (!cut.is_persistent || std::exchange(states_[i].status, Status::kWhole) != Status::kCut) continue;
    if (zero_.ranks == 1 && cut.part)
      cut.kept = cut.part;
    else if (cut.kept)
      tape_.fill(cut.kept);
    else
      cut.kept = make(cut, zero_.ranks * cut.share, "all_gather", Stream::kMain);
    if (!cut.part) sent(cut, Stream::kMain).reset();
    look_into(cut.whole.value, cut.kept);
  }
}

/// Its place among all; one past the last for what is no parameter.
size_t ZeroCoordinator::find(const Tensor& parameter) const {
  const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                  [&](const CutParameter& cut) { return cut.whole.value.get() == parameter.get(); });
  return static_cast<size_t>(found - parameters_.begin());
}

void ZeroCoordinator::give_model(const Tensor& parameter) {
  const size_t place = find(parameter);
  if (place == parameters_.size() || states_[place].status != Status::kCut) return;
  Flight flight;
  gather_one(parameters_[place], Stream::kMain, flight);
  states_[place].status = Status::kWhole;
  modules_.give_model(place);
}

void ZeroCoordinator::gather_for_a_moment(const CutParameter& cut) {
  Flight flight;
  gather_one(cut, Stream::kMain, flight);
  look_into(cut.whole.value, nothing_);
}

}  // namespace peakmem
