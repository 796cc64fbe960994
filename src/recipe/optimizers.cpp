#include "recipe/optimizers.h"

#include <array>

namespace peakmem {
namespace {

using Action = Temporary::Action;
using Of = State::Of;

constexpr Temporary bind(uint8_t name, const char* op, Like like = Like::kParameter) {
  return {Action::kBind, name, like, op};
}
constexpr Temporary reduce(uint8_t name, const char* op, Like like) {
  Temporary line = bind(name, op, like);
  line.reduces = true;
  return line;
}
constexpr Temporary drop(uint8_t name) { return {Action::kDrop, name}; }
constexpr Temporary take(uint8_t name, uint8_t other) {
  return {Action::kTake, name, Like::kParameter, "", Temporary::Only::kAny, other};
}
constexpr Temporary in_half(Temporary line) {
  line.only = Temporary::Only::kHalf;
  return line;
}
constexpr Temporary unless_bfloat16(Temporary line) {
  line.only = Temporary::Only::kNoBfloat16;
  return line;
}
constexpr Temporary kMakeState = {Action::kMakeState};

constexpr std::span<const Temporary> kNone = {};
constexpr Update kNoUpdate = {};
constexpr Update kInPlace = {true, kNone, kNone, {}};
template <size_t N>
constexpr Update same_for_all(const std::array<Temporary, N>& lines) {
  return {true, lines, lines, {}};
}

// A fused kernel counts steps on the GPU; the others count on the CPU.
constexpr std::array kGpuStep = {State{"step", Like::kScalar}};
constexpr std::array kGpuStepAtConstruction = {State{"step", Like::kScalar, Made::kConstruction}};
constexpr Update kFusedWithStep = {true, kNone, kNone, kGpuStep};

// adam.py: denom = (exp_avg_sq.sqrt() / bias_correction2_sqrt).add_(eps)
constexpr std::array kAdamState = {State{"exp_avg", Like::kParameter}, State{"exp_avg_sq", Like::kParameter}};
constexpr std::array kAdamLoop = {bind(0, "sqrt"), bind(1, "div"), drop(0)};
constexpr std::array kRootOfAll = {bind(0, "_foreach_sqrt")};

// sgd.py: the buffer is a clone of the first gradient.
constexpr std::array kMomentum = {State{"momentum_buffer", Like::kParameter, Made::kInUpdate}};
constexpr std::array kMakesState = {kMakeState};

// adagrad.py: std = state_sum.sqrt().add_(eps); foreach scales the gradients besides.
constexpr std::array kAdagradState = {State{"sum", Like::kParameter, Made::kConstruction}};
constexpr std::array kRootOfOne = {bind(0, "sqrt")};
constexpr std::array kAdagradForeach = {bind(0, "_foreach_sqrt"), bind(1, "_foreach_mul")};

// rmsprop.py: avg = square_avg.sqrt().add_(eps)
constexpr std::array kRmspropState = {State{"square_avg", Like::kParameter}};

// _adafactor.py of torch: var_estimate = row_var @ col_var becomes the update in place; until then the update before it
// lives.
constexpr std::array kFactored = {State{"row_var", Like::kRows, Made::kFirstStep, Of::kMatrices},
                                  State{"col_var", Like::kColumns, Made::kFirstStep, Of::kMatrices},
                                  State{"variance", Like::kParameter, Made::kFirstStep, Of::kVectors}};
constexpr std::array kAdafactorMatrix = {bind(0, "linalg_vector_norm", Like::kRows),
                                         reduce(1, "linalg_vector_norm", Like::kColumns),
                                         bind(5, "mm"),
                                         bind(4, "mean", Like::kMatrices),
                                         drop(4),
                                         take(2, 5)};
constexpr std::array kAdafactorVector = {bind(3, "mul"), bind(2, "clone")};
constexpr std::array kAdafactorMatrices = {bind(0, "linalg_vector_norm", Like::kRows),
                                           drop(0),
                                           reduce(1, "linalg_vector_norm", Like::kColumns),
                                           drop(1),
                                           bind(2, "mm"),
                                           bind(4, "mean", Like::kMatrices),
                                           drop(4),
                                           take(5, 2)};
constexpr std::array kAdafactorVectors = {bind(3, "_foreach_mul"), drop(3), bind(2, "clone"), take(5, 2)};

// transformers' Adafactor (optimization.py) with scale_parameter=False, relative_step=False: gradient and parameter go
// to fp32, the squared gradient is factored, the update is made anew.
constexpr std::array kHfFactored = {State{"exp_avg_sq_row", Like::kRowsFull, Made::kInUpdate, Of::kMatrices},
                                    State{"exp_avg_sq_col", Like::kColumnsFull, Made::kInUpdate, Of::kMatrices},
                                    State{"exp_avg_sq", Like::kParameterFull, Made::kInUpdate, Of::kVectors},
                                    State{"RMS", Like::kScalar, Made::kInUpdate}};
constexpr std::array kHfMatrix = {in_half(drop(0)),
                                  in_half(bind(0, "_to_copy", Like::kParameterFull)),
                                  kMakeState,
                                  in_half(drop(1)),
                                  in_half(bind(1, "_to_copy", Like::kParameterFull)),
                                  bind(2, "pow", Like::kParameterFull),
                                  bind(3, "add", Like::kParameterFull),
                                  drop(2),
                                  bind(4, "mean", Like::kRowsFull),
                                  drop(4),
                                  reduce(4, "mean", Like::kColumnsFull),
                                  drop(4),
                                  bind(4, "div", Like::kRowsFull),
                                  bind(5, "rsqrt", Like::kColumnsFull),
                                  bind(3, "mul", Like::kParameterFull),
                                  drop(4),
                                  drop(5),
                                  bind(6, "neg", Like::kParameterFull),
                                  drop(6)};
constexpr std::array kHfVector = {in_half(drop(0)),
                                  in_half(bind(0, "_to_copy", Like::kParameterFull)),
                                  kMakeState,
                                  in_half(drop(1)),
                                  in_half(bind(1, "_to_copy", Like::kParameterFull)),
                                  bind(2, "pow", Like::kParameterFull),
                                  bind(3, "add", Like::kParameterFull),
                                  drop(2),
                                  bind(3, "rsqrt", Like::kParameterFull),
                                  bind(6, "neg", Like::kParameterFull),
                                  drop(6)};

// lion_pytorch.py: update = exp_avg.clone().mul_(beta1).add(grad, alpha=1 - beta1).sgn_(), a call for each parameter;
// foreach.py: updates = [t.clone() for t in exp_avgs].
constexpr std::array kLionState = {State{"exp_avg", Like::kParameter, Made::kInUpdate}};
constexpr std::array kLionLoop = {kMakeState, bind(0, "clone"), bind(1, "add"), drop(0), drop(1)};
constexpr std::array kLionForeach = {kMakeState, bind(0, "clone")};

// nadam.py: denom = exp_avg_sq.div(bias_correction2).sqrt()
constexpr std::array kNadamLoop = {bind(1, "div"), bind(0, "sqrt"), drop(1)};

// radam.py, rectified (from step 6 on): bias_corrected_exp_avg * lr * _compute_adaptive_lr() * _compute_rect(), where
// the second is a number over exp_avg_sq.sqrt(), which is a reciprocal times the number.
constexpr std::array kRadamLoop = {
    bind(0, "div"), bind(1, "mul"), bind(2, "sqrt"), bind(3, "reciprocal"), bind(4, "mul"), drop(3), drop(2),
    bind(5, "mul"), drop(1),        drop(4),         bind(6, "mul"),        drop(5),        drop(6)};

// adamax.py: torch.maximum(exp_inf.mul_(beta2), grad.abs().add_(eps), out=exp_inf)
constexpr std::array kAdamaxState = {State{"exp_avg", Like::kParameter}, State{"exp_inf", Like::kParameter}};
constexpr std::array kAdamaxLoop = {bind(0, "abs"), drop(0)};
constexpr std::array kAdamaxForeach = {bind(0, "_foreach_abs"), drop(0)};

// adadelta.py: std = square_avg.add(eps).sqrt_(), delta = acc_delta.add(eps).sqrt_()
constexpr std::array kAdadeltaState = {State{"square_avg", Like::kParameter}, State{"acc_delta", Like::kParameter}};
constexpr std::array kAdadeltaLoop = {bind(0, "add"), bind(1, "add")};
constexpr std::array kAdadeltaForeach = {bind(0, "_foreach_add"), bind(1, "_foreach_add")};

// asgd.py: its counters are on the GPU; while mu is 1 (the first million steps) the average is a copy. foreach:
// intermediate = grad + param * lambd, then param - ax; new_etas are made one after another and kept to the end.
constexpr std::array kAsgdState = {State{"step", Like::kScalar}, State{"eta", Like::kScalar},
                                   State{"mu", Like::kScalar}, State{"ax", Like::kParameter}};
constexpr std::array kAsgdForeach = {bind(0, "_foreach_add"),
                                     drop(0),
                                     bind(0, "_foreach_sub"),
                                     drop(0),
                                     bind(1, "as_tensor", Like::kScalar),
                                     bind(2, "as_tensor", Like::kScalar)};

// _muon.py: update = grad.lerp(buf, momentum) goes through five steps of Newton and Schulz in bf16 (in fp32 and fp16 on
// a copy, in bf16 in place first), of its transpose where that has fewer rows; the result lives to the next parameter.
constexpr std::array kMuonState = {State{"momentum_buffer", Like::kParameter}};
constexpr Temporary kGramMatrix = bind(2, "mm", Like::kGram);
constexpr Temporary kGramUpdate = bind(3, "addmm", Like::kGram);
constexpr Temporary kOrthogonal = bind(1, "addmm", Like::kHalf);
constexpr std::array kMuonMatrix = {bind(0, "lerp"), unless_bfloat16(bind(1, "_to_copy", Like::kHalf)),
                                    kGramMatrix,     kGramUpdate,
                                    kOrthogonal,     kGramMatrix,
                                    kGramUpdate,     kOrthogonal,
                                    kGramMatrix,     kGramUpdate,
                                    kOrthogonal,     kGramMatrix,
                                    kGramUpdate,     kOrthogonal,
                                    kGramMatrix,     kGramUpdate,
                                    kOrthogonal,     drop(2),
                                    drop(3),         take(0, 1)};

// bitsandbytes 0.50.2, optim/optimizer.py: init_state of one state and of two, and ademamix.py, which stacks two
// averages; an update is one kernel, which allocates nothing. Tables of codes are moved to the device once.
constexpr State kept_state(const char* name, uint8_t times = 1) {
  return {name, Like::kInBits, Made::kInUpdate, Of::kAll, times};
}
constexpr State codes(const char* name) { return {name, Like::kCodes, Made::kInUpdate, Of::kIn8Bits}; }
constexpr State scales(const char* name, uint8_t times = 1) {
  return {name, Like::kBlocksFull, Made::kInUpdate, Of::kIn8Bits, times};
}
constexpr std::array kOneState = {kept_state("state1")};
constexpr std::array kOneState8Bit = {codes("qmap1"), kept_state("state1"), scales("absmax1")};
constexpr std::array kTwoStates = {kept_state("state1"), kept_state("state2")};
constexpr std::array kTwoStates8Bit = {codes("qmap1"),       codes("qmap2"),    kept_state("state1"),
                                       kept_state("state2"), scales("absmax1"), scales("absmax2")};
constexpr std::array kThreeAverages = {kept_state("state1", 2), kept_state("state2")};
constexpr std::array kThreeAverages8Bit = {codes("qmap1"),    codes("qmap2"),          scales("absmax1", 2),
                                           scales("absmax2"), kept_state("state1", 2), kept_state("state2")};

/// A row of bitsandbytes: states in 8 bits or all in 32, in managed memory or not.
constexpr Optimizer bitsandbytes(std::string_view name, std::string_view title, std::span<const State> state,
                                 bool in_8_bits, bool pages) {
  return {name,
          title,
          "bitsandbytes 0.50.2, optim/optimizer.py",
          state,
          same_for_all(kMakesState),
          kNoUpdate,
          kNoUpdate,
          OptimizerImpl::kLoop,
          in_8_bits,
          pages,
          false};
}
/// Its RMSprop has no 32-bit kernel for bf16 gradients, which small parameters need in 8 bits too.
constexpr Optimizer without_bfloat16(Optimizer row) {
  row.takes_bfloat16 = false;
  return row;
}

constexpr std::array kOptimizers = {
    Optimizer{"adamw", "AdamW", "torch 2.13, torch/optim/adam.py", kAdamState, same_for_all(kAdamLoop),
              same_for_all(kRootOfAll), kFusedWithStep, OptimizerImpl::kForeach},
    Optimizer{"adam", "Adam", "torch 2.13, torch/optim/adam.py (weight_decay=0)", kAdamState, same_for_all(kAdamLoop),
              same_for_all(kRootOfAll), kFusedWithStep, OptimizerImpl::kForeach},
    Optimizer{"sgd",
              "SGD",
              "torch 2.13, torch/optim/sgd.py (weight_decay=0)",
              {},
              kInPlace,
              kInPlace,
              kInPlace,
              OptimizerImpl::kForeach},
    Optimizer{"sgd-momentum", "SGD with momentum", "torch 2.13, torch/optim/sgd.py (nesterov=False, weight_decay=0)",
              kMomentum, same_for_all(kMakesState), same_for_all(kMakesState), same_for_all(kMakesState),
              OptimizerImpl::kForeach},
    Optimizer{"adagrad",
              "Adagrad",
              "torch 2.13, torch/optim/adagrad.py",
              kAdagradState,
              same_for_all(kRootOfOne),
              same_for_all(kAdagradForeach),
              {true, kNone, kNone, kGpuStepAtConstruction},
              OptimizerImpl::kForeach},
    Optimizer{"rmsprop", "RMSprop", "torch 2.13, torch/optim/rmsprop.py (momentum=0, centered=False)", kRmspropState,
              same_for_all(kRootOfOne), same_for_all(kRootOfAll), kNoUpdate, OptimizerImpl::kForeach},
    Optimizer{"nadam", "NAdam", "torch 2.13, torch/optim/nadam.py (weight_decay=0)", kAdamState,
              same_for_all(kNadamLoop), same_for_all(kRootOfAll), kNoUpdate, OptimizerImpl::kForeach},
    Optimizer{"radam", "RAdam", "torch 2.13, torch/optim/radam.py (weight_decay=0)", kAdamState,
              same_for_all(kRadamLoop), same_for_all(kRootOfAll), kNoUpdate, OptimizerImpl::kForeach},
    Optimizer{"adamax", "Adamax", "torch 2.13, torch/optim/adamax.py (weight_decay=0)", kAdamaxState,
              same_for_all(kAdamaxLoop), same_for_all(kAdamaxForeach), kNoUpdate, OptimizerImpl::kForeach},
    Optimizer{"adadelta", "Adadelta", "torch 2.13, torch/optim/adadelta.py (weight_decay=0)", kAdadeltaState,
              same_for_all(kAdadeltaLoop), same_for_all(kAdadeltaForeach), kNoUpdate, OptimizerImpl::kForeach},
    Optimizer{"asgd", "Averaged SGD", "torch 2.13, torch/optim/asgd.py (weight_decay=0)", kAsgdState, kInPlace,
              same_for_all(kAsgdForeach), kNoUpdate, OptimizerImpl::kForeach},
    Optimizer{"lion", "Lion", "lion-pytorch 0.2.5, lion_pytorch.py and foreach.py", kLionState, same_for_all(kLionLoop),
              same_for_all(kLionForeach), kNoUpdate, OptimizerImpl::kLoop},
    Optimizer{"adafactor",
              "Adafactor of torch",
              "torch 2.13, torch/optim/_adafactor.py",
              kFactored,
              {true, kAdafactorMatrix, kAdafactorVector, {}},
              {true, kAdafactorMatrices, kAdafactorVectors, {}},
              kNoUpdate,
              OptimizerImpl::kLoop},
    Optimizer{"hf-adafactor",
              "Adafactor of transformers",
              "transformers 5.23, optimization.py (scale_parameter=False, relative_step=False)",
              kHfFactored,
              {true, kHfMatrix, kHfVector, {}},
              kNoUpdate,
              kNoUpdate,
              OptimizerImpl::kLoop},
    Optimizer{.name = "muon",
              .title = "Muon",
              .source = "torch 2.13, torch/optim/_muon.py (ns_steps=5)",
              .state = kMuonState,
              .loop = same_for_all(kMuonMatrix),
              .foreach = kNoUpdate,
              .fused = kNoUpdate,
              .usual = OptimizerImpl::kLoop,
              .takes_shards = false,
              .takes_others = false},
    bitsandbytes("adamw-8bit", "AdamW in 8 bits", kTwoStates8Bit, true, false),
    bitsandbytes("paged-adamw-32bit", "AdamW, paged", kTwoStates, false, true),
    bitsandbytes("paged-adamw-8bit", "AdamW in 8 bits, paged", kTwoStates8Bit, true, true),
    bitsandbytes("lion-32bit", "Lion of bitsandbytes", kOneState, false, false),
    bitsandbytes("lion-8bit", "Lion in 8 bits", kOneState8Bit, true, false),
    bitsandbytes("paged-lion-32bit", "Lion, paged", kOneState, false, true),
    bitsandbytes("paged-lion-8bit", "Lion in 8 bits, paged", kOneState8Bit, true, true),
    bitsandbytes("ademamix", "AdEMAMix", kThreeAverages, false, false),
    bitsandbytes("ademamix-8bit", "AdEMAMix in 8 bits", kThreeAverages8Bit, true, false),
    bitsandbytes("paged-ademamix-32bit", "AdEMAMix, paged", kThreeAverages, false, true),
    bitsandbytes("paged-ademamix-8bit", "AdEMAMix in 8 bits, paged", kThreeAverages8Bit, true, true),
    without_bfloat16(bitsandbytes("rmsprop-bnb", "RMSprop of bitsandbytes", kOneState, false, false)),
    without_bfloat16(bitsandbytes("rmsprop-bnb-8bit", "RMSprop in 8 bits", kOneState8Bit, true, false)),
};

}  // namespace

std::span<const Optimizer> optimizers() { return kOptimizers; }

const Optimizer* find_optimizer(std::string_view name) {
  for (const Optimizer& optimizer : kOptimizers)
    if (optimizer.name == name) return &optimizer;
  return nullptr;
}

Kept kept(const Optimizer& optimizer, int64_t elements, bool full) {
  constexpr int64_t kFewest8Bit = 4096;     // min_8bit_size
  constexpr int64_t kFewestPaged = 100000;  // get_state_buffer
  Kept how;
  how.in_8_bits = optimizer.in_8_bits && !full && elements >= kFewest8Bit;
  how.paged = optimizer.pages && elements >= kFewestPaged;
  how.whole_blocks = elements % kStateBlock == 0;
  return how;
}

const Update& update_of(const Optimizer& optimizer, OptimizerImpl impl) {
  return impl == OptimizerImpl::kLoop      ? optimizer.loop
         : impl == OptimizerImpl::kForeach ? optimizer.foreach
                                           : optimizer.fused;
}

}  // namespace peakmem
