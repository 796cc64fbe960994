// Which parameters of ZeRO 3 are whole when: DeepSpeed's PartitionedParameterCoordinator
// (0.19.8, runtime/zero/partitioned_param_coordinator.py) and the gathers that it asks for (partition_parameters.py).
//
//     first pass    module by module: gathered before it runs, cut again when it has; the order of the modules is noted
//     later ones    what comes next is gathered ahead (prefetch_bucket, max_live_parameters); what comes again within
//                   max_reuse_distance stays whole, and what a prefetch found whole and passed over
//
// A pass is a forward pass and its backward pass. Lengths are elements.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "layout/zero_modules.h"
#include "recipe/zero.h"

namespace peakmem {

/// A parameter, of which this rank keeps a part, and where it is whole.
struct CutParameter {
  Parameter whole;  // without memory where it is cut
  Tensor part;      // this rank's; empty where the host has it
  Tensor kept;      // what a persistent one is between steps
  int64_t elements = 0;
  int64_t share = 0;           // elements of a rank's part, padded
  bool is_loaded = true;       // by zero.Init; else it is cut when the engine starts
  bool persists = false;       // small: stays whole to the end of a step
  bool is_persistent = false;  // and is gathered again behind the update
};

/// What a module is called for: by the forward pass, by a checkpoint that runs it again, by the backward pass.
enum class Pass : uint8_t { kForward, kAgain, kBackward };

/// The coordinator of one model.
class ZeroCoordinator {
 public:
  /// Cuts what was made without memory and is loaded.
  ZeroCoordinator(Tape& tape, const Zero& zero, std::vector<CutParameter> parameters);

  /// Cuts the others.
  void cut_adapters();
  /// The forward pass begins.
  void begin_pass();
  /// A module runs, or its backward pass begins.
  void fetch(int32_t module, Pass pass);
  /// It is over.
  void release(int32_t module, Pass pass);
  /// Behind the backward pass: modules of which nothing said that theirs is over.
  void release_leftovers();
  /// Before the update all are cut, behind it the persistent ones gathered.
  void partition_all();
  void gather_persistent();

  const ZeroModules& modules() const { return modules_; }
  ZeroModules& modules() { return modules_; }
  std::vector<CutParameter>& parameters() { return parameters_; }
  const std::vector<CutParameter>& parameters() const { return parameters_; }
  /// The model takes parameters from modules within it: each is gathered when it does so for the first time, and from
  /// then on with the model (ZeROOrderedDict).
  void give_model(const Tensor& parameter);
  /// One parameter whole for a moment, on the stream that computes.
  void gather_for_a_moment(const CutParameter& cut);

 private:
  enum class Status : uint8_t { kCut, kInFlight, kWhole };
  /// Parameters that are gathered together, and what holds them until each was waited for.
  struct Flight {
    std::vector<size_t> parameters;
    std::vector<Tensor> gathered;  // of each dtype
    std::vector<Tensor> sent;
    bool is_over = false;
  };
  /// What is known of a parameter in this pass.
  struct State {
    Status status = Status::kCut;
    std::vector<int32_t> active;   // modules that use it
    int64_t fetched_for = kNever;  // the last step of the pass that it was fetched for
  };
  /// A parameter in the order of use, and the step of the pass that uses it.
  struct Use {
    size_t parameter;
    int64_t step;
  };
  /// Passes: the first one is recorded, from the second on what it used is known, as long as it is so.
  enum class Order : uint8_t { kUnknown, kRecorded, kKnown };

  static constexpr int64_t kNever = -10000000000;

  void load();
  void check_order(int32_t module);
  void cut(CutParameter& cut);
  void gather(const std::vector<size_t>& wanted);
  void gather_one(const CutParameter& cut, Stream stream, Flight& flight);
  void gather_together(Flight& flight);
  void wait_for(size_t parameter);
  void end(Flight& flight);
  void forget_uses(const std::vector<size_t>& fetched);
  void prefetch();
  void use(size_t parameter, int32_t module);
  size_t find(const Tensor& parameter) const;
  void let_go(size_t parameter);
  void clear_flights();
  std::vector<bool> released_by(int32_t module) const;
  Tensor make(const CutParameter& cut, int64_t elements, const char* made_by, Stream stream) const;
  Tensor sent(const CutParameter& cut, Stream stream) const;
  Stream stream() const { return zero_.overlaps ? Stream::kAllGather : Stream::kMain; }

  Tape& tape_;
  const Zero& zero_;
  ZeroModules modules_;
  std::vector<CutParameter> parameters_;
  Tensor nothing_;                                       // what a parameter that is cut looks at
  std::vector<State> states_;                            // by parameter
  std::map<size_t, std::shared_ptr<Flight>> in_flight_;  // by parameter, until it was waited for
  Order order_ = Order::kUnknown;
  std::vector<int32_t> modules_in_order_;
  std::deque<Use> coming_;                        // of this pass, without what was fetched
  int64_t step_ = 0;                              // calls of modules so far
  int64_t live_ = 0;                              // elements that were gathered in this pass and are whole
  std::vector<int32_t> backward_;                 // modules whose backward pass began
  std::map<int32_t, std::vector<size_t>> again_;  // frozen parameters that ran again within it, by module
};

}  // namespace peakmem
