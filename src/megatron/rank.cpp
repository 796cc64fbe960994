#include "megatron/rank.h"

#include <algorithm>
#include <utility>

#include "megatron/checkpoint.h"
#include "trace/engine.h"

namespace peakmem::mcore {
namespace {

// self / other in place, where other is a number on the device.
void div_backward(Gradients& g) { g.out[0] = g.in[0].tape().make(g.in[0].shape(), g.in[0].dtype(), "div"); }
const Op kDivInPlace = {"div_", div_backward};

Tensor div_in_place(Tensor self, const Tensor& other) {
  const Tensor x = std::move(self);
  Tape& tape = x.tape();
  Node* node = tape.record(kDivInPlace, {&x});
  if (other) tape.save(node, other);
  Tensor result = tape.look(x, x.shape(), false);
  Tape::attach(node, result);
  return result;
}

}  // namespace

Rank::Rank(Tape& tape, const Job& job)
    : tape_(tape),
      job_(job),
      place_(place_of(job.degrees, job.rank)),
      buffer_(tape),
      weight_gradients_(job.kernels.fuses_accumulation),
      builder_{tape, job, buffer_, traits_, &router_, &te_, &weight_gradients_},
      hooks_(tape) {
  tape.processor = job.processor;
  if (job.training.pretrains) start_time_ = tape.buffer({1}, DType::kFloat64, "start_time");
  if (job.kernels.te) te_.workspace = tape.buffer({te_workspace_bytes(job.processor)}, DType::kUInt8, "te_workspace");
  for (int64_t i = 0; i < job.degrees.vpp; ++i) {
    chunks_.push_back(chunk_of(job, place_.stage, i));
    first_parameters_.push_back(tape.parameters.size());
    models_.emplace_back(builder_, chunks_.back());
  }
  first_parameters_.push_back(tape.parameters.size());
  inputs_.resize(chunks_.size());
  for (const Parameter& parameter : tape.parameters) hooks_.add(parameter.accumulator);
  to_device();
}

// What torch.nn made on the host comes to the device as it is, in fp32, and Float16Module casts it there.
void Rank::to_device() {
  const bool casts = size_of(job_.training.precision) == 2;
  std::vector<std::pair<Tensor, Tensor>> moved;  // the parameter, and what it is before the cast
  for (size_t i = 0; i < traits_.size(); ++i) {
    if (!traits_[i].on_host) continue;
    const Tensor& value = tape_.parameters[i].value;
    if (casts && traits_[i].casts)
      moved.emplace_back(value, tape_.make(value.shape(), DType::kFloat32, "_to_copy"));
    else
      tape_.fill(value);
  }
  for (auto& [value, full] : moved) {
    tape_.fill(value);
    full.reset();
  }
}

void Rank::begin(int32_t step, int64_t micro, const char* name) {
  const std::pair<int64_t, std::string_view> next = {micro, name};
  if (running_ == next) return;
  running_ = next;
  tape_.begin_phase(step, static_cast<int32_t>(micro), name);
}

void Rank::wrap() {
  std::vector<Buffer*> dense;
  std::vector<Buffer*> experts;
  for (size_t i = 0; i < chunks_.size(); ++i) {
    gradients_.emplace_back(builder_, first_parameters_[i], first_parameters_[i + 1], is_first() && i == 0);
    for (Buffer& buffer : gradients_.back().dense()) dense.push_back(&buffer);
    for (Buffer& buffer : gradients_.back().experts()) experts.push_back(&buffer);
  }
  const Degrees& d = job_.degrees;
  optimizers_.emplace_back(builder_, dense, place_.data % d.shards());
  if (!experts.empty()) optimizers_.emplace_back(builder_, experts, place_.expert_data % d.expert_shards());
}

Tensor Rank::receive() const {
  const Category outer = std::exchange(tape_.category, Category::kInputs);
  const int64_t parts = job_.degrees.sequence_parallel ? job_.degrees.tp : 1;
  Tensor received =
      tape_.make({job_.training.seq / (parts * job_.degrees.cp), job_.training.micro_batch, job_.model.hidden},
                 job_.training.precision, "empty");
  tape_.category = outer;
  return received;
}

// loss_func of pretrain_gpt.py, and forward_step_calc_loss.
Tensor Rank::loss(const Tensor& output, const Tensor& mask, std::vector<Tensor>& reported, Tensor& tokens) {
  Tensor loss;
  {
    const Tensor losses = merge_dims(output, 0, 2);
    const Tensor loss_mask = merge_dims(mask, 0, 2);
    loss = sum_all(mul(losses, loss_mask));
    Tensor sum = tape_.make(Shape{}, DType::kFloat32, "sum");
    Tensor clone = tape_.make(Shape{}, DType::kFloat32, "clone");
    sum.reset();
    tokens = tape_.make(Shape{}, DType::kInt32, "_to_copy");
    clone.reset();
    const Tensor copy = tape_.make(Shape{}, DType::kFloat32, "clone");
    reported.push_back(tape_.make({2}, DType::kFloat32, "cat"));
  }
  loss = div_in_place(std::move(loss), tape_.make(Shape{}, DType::kInt32, "clamp"));
  return div_in_place(std::move(loss), Tensor());
}

// get_batch_on_this_tp_rank of pretrain_gpt.py, or what the stage's model wants and no more.
void Rank::make_batch(size_t chunk, ChunkInput& given, Tensor& loss_mask) const {
  const Training& t = job_.training;
  const bool first = t.pretrains ? chunks_[chunk].embeds : is_first();
  const bool last = t.pretrains ? chunks_[chunk].heads : is_last();
  const bool whole = t.pretrains && t.whole_batch && place_.tensor == 0 && (first || last);
  const int64_t seq = t.seq / job_.degrees.cp;  // get_batch_on_this_cp_rank
  const auto ids = [&] { return tape_.make({t.micro_batch, seq}, DType::kInt64, "zeros"); };
  if (first || whole) {
    given.tokens = ids();
    given.position_ids = ids();
  }
  if (last || whole) {
    given.labels = ids();
    loss_mask = tape_.make({t.micro_batch, seq}, DType::kFloat32, "ones");
  }
  if (t.given_mask && (first || last)) given.mask = tape_.make({t.micro_batch, 1, seq, t.seq}, DType::kBool, "zeros");
}

ForwardStep Rank::forward(size_t chunk, const ReceivedTensor& input, std::vector<Tensor>& losses) {
  tape_.category = Category::kInputs;
  inputs_[chunk] = input;
  ForwardStep step;
  Tensor output;
  Tensor loss_mask;
  {
    ChunkInput given;
    make_batch(chunk, given, loss_mask);
    if (input) given.hidden_states = input->value();
    tape_.category = Category::kActivations;
    output = models_[chunk](given);
  }
  // The scale of the routers' losses: that of the main one, of a tensor of ones, among the micro-batches.
  const auto scaled = [&](const char* op) { return tape_.make({1}, DType::kFloat32, op); };
  step.output = heads(chunk) ? loss(output, loss_mask, losses, step.tokens) : output;
  step.leaf = input;
  const Training& t = job_.training;
  const bool waits = t.deferral_limit == 0 || static_cast<int64_t>(deferred_.size()) < t.deferral_limit;
  if (heads(chunk) && t.defers_head && waits) deferred_.push_back(input);
  if (job_.model.mixture.experts > 0) {
    Tensor ones = scaled("ones");
    Tensor scale = scaled("mul");
    ones.reset();
    Tensor times = scaled("mul");
    const Tensor divided = scaled("div");
    times.reset();
    if (!router_.loss_scale) router_.loss_scale = divided;
  }
  return step;
}

void Rank::backward(Tensor output, const Tensor& output_gradient) {
  Tensor root = std::move(output);
  if (!output_gradient) root = mul(optimizers_.front().scale(), root);
  run_backward(tape_, root, output_gradient);
}

// Gradients of what tensor-parallel ranks have in common are summed as one tensor.
void Rank::finalize() {
  for (GptModel& model : models_) model.finish_deferred();
  deferred_.clear();
  if (!job_.degrees.sequence_parallel || job_.degrees.tp == 1) return;
  int64_t elements = 0;
  for (size_t i = 0; i < traits_.size(); ++i)
    if (traits_[i].sums) elements += elements_of(tape_, i);
  const Category outer = std::exchange(tape_.category, Category::kTemporaries);
  const DType dtype = job_.training.full_gradients ? DType::kFloat32 : job_.training.precision;
  if (elements > 0) {
    const Tensor coalesced = tape_.make({elements}, dtype, "cat");
  }
  tape_.category = outer;
}

// train_step and training_log: the mean of the losses, and their sum since the last report.
void Rank::log(std::vector<Tensor> losses) {
  if (!job_.training.pretrains || !is_last()) return;
  const Category outer = std::exchange(tape_.category, Category::kTemporaries);
  const Tensor stacked = tape_.make({static_cast<int64_t>(losses.size()), 2}, DType::kFloat32, "cat");
  losses.clear();
  const Tensor sum = tape_.make({2}, DType::kFloat32, "sum");
  logged_[0] = tape_.make(Shape{}, DType::kFloat32, "div");
  logged_[1] = tape_.make({1}, DType::kFloat32, "add");
  tape_.category = outer;
}

void Rank::zero_grad() {
  for (Optimizer& optimizer : optimizers_) optimizer.zero_grad();
}

// ChainedOptimizer.step.
void Rank::step() {
  const Category outer = std::exchange(tape_.category, Category::kTemporaries);
  for (Optimizer& optimizer : optimizers_) optimizer.prepare();
  for (const Optimizer& optimizer : optimizers_) {  // get_grad_norm_fp32
    const Tensor dummy_overflow = tape_.make({1}, DType::kInt32, "zeros");
    std::vector<Tensor> norms;
    if (job_.kernels.local_clip) optimizer.make_norms(norms);
    const Tensor norm = tape_.make({1}, DType::kFloat32, "empty");
    norms.clear();
    const Tensor total = tape_.make({1}, DType::kFloat32, "pow");
  }
  for (const Optimizer& optimizer : optimizers_)
    if (job_.training.clips) optimizer.clip();
  for (const Optimizer& optimizer : optimizers_)
    if (job_.training.counts_zeros) optimizer.count_zeros();
  for (Optimizer& optimizer : optimizers_) optimizer.step();
  tape_.category = outer;
}

}  // namespace peakmem::mcore
