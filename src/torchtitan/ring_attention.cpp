#include "torchtitan/ring_attention.h"

#include <array>
#include <utility>

namespace peakmem::titan {
namespace {

constexpr const char* kAttention = "_scaled_dot_product_cudnn_attention";
const Op kRing = {kAttention, run_function};

/// What a step's kernel gives: its context in half precision, logarithms and the random numbers' state.
struct Block {
  Tensor output, logarithms, seed, offset;
};

Shape with_rows(Shape shape, Expr rows) {
  shape.size[2] = rows;
  return contiguous(shape);
}

bool is_half_queries(const Ring& ring, int64_t step) { return step > ring.rank; }

// Of the last step what is random is the whole op's own.
Block run_block(const Tensor& query, Expr rows, bool is_last) {
  Tape& tape = query.tape();
  const char* step = is_last ? kAttention : "ring_step";
  const bool is_whole = identical(rows, query.size(2));
  Block block;
  const Shape layout = is_whole ? Shape(preserved(query.shape())) : with_rows(query.shape(), rows);
  block.output = tape.make(layout, query.dtype(), "ring");
  block.logarithms = tape.make({query.size(0), query.size(1), rows, 1}, DType::kFloat32, "ring");
  block.seed = tape.make(Shape{}, DType::kInt64, step);
  block.offset = tape.make(Shape{}, DType::kInt64, step);
  return block;
}

/// _SDPAMerger: contexts in fp32, weighed by their logarithms.
class Merger {
 public:
  void step(const Block& block, bool is_last) {
    const Tensor full = made(block.output.shape(), "to.dtype");
    if (!output_) {
      output_ = full;
      logarithms_ = block.logarithms;
      return;
    }
    const KeptShape& numbers = block.logarithms.shape();
    Tensor output;
    {
      Tensor weight = made(numbers, "sub");
      weight = made(numbers, "sigmoid");
      Tensor change = made(full.shape(), "sub");
      Tensor product = made(full.shape(), "mul");
      weight.reset();
      change.reset();
      output = made(full.shape(), "sub");
    }
    const bool is_part = !identical(output.size(2), output_.size(2));
    const char* last = is_last ? kAttention : "ring";
    Tensor logarithms;
    {
      Tensor difference = made(numbers, "sub");
      const Tensor rest = made(numbers, "log_sigmoid");
      difference.reset();
      logarithms = made(numbers, is_part ? "sub" : last);
    }
    logarithms_ = is_part ? made(contiguous(logarithms_.shape()), last) : logarithms;
    output_ = is_part ? made(contiguous(output_.shape()), "cat") : output;
  }
  Tensor take_output(DType dtype) {
    Tensor result = output_.tape().make(preserved(output_.shape()), dtype, kAttention);
    output_.reset();
    return result;
  }
  const Tensor& logarithms() const { return logarithms_; }
  void begin(Tape& tape) { tape_ = &tape; }

 private:
  Tensor made(const KeptShape& shape, const char* op) const { return tape_->make(shape, DType::kFloat32, op); }
  Tape* tape_ = nullptr;
  Tensor output_, logarithms_;
};

/// Keys and values of all ranks: gathered, and waited for.
Tensor gathered(Tape& tape, Expr elements, DType dtype, const Ring& ring) {
  const Tensor sent = tape.make({ring.size * elements}, dtype, "all_gather_into_tensor");
  return tape.make({ring.size * elements}, dtype, "wait_tensor");
}

Block go_round(const Tensor& query, const Tensor& key, const Tensor& value, const Ring& ring) {
  Tape& tape = query.tape();
  const Expr both = 2 * key.shape().elements();
  const Expr rows = query.size(2);
  Tensor own_keys = contiguous(key);
  Tensor own_values = contiguous(value);
  Tensor all;
  Block block;
  Merger merger;
  merger.begin(tape);
  for (int64_t i = 0; i < ring.size; ++i) {
    const bool is_last = i == ring.size - 1;
    if (!is_last) {
      const Tensor sent = tape.make({both}, query.dtype(), "cat");
      if (i == 0) all = gathered(tape, both, query.dtype(), ring);
    }
    if (i == 1) {
      own_keys.reset();
      own_values.reset();
    }
    Block made = run_block(query, is_half_queries(ring, i) ? exact_div(rows, 2) : rows, is_last);
    block = std::move(made);
    merger.step(block, is_last);
  }
  block.logarithms = merger.logarithms();
  block.output = merger.take_output(query.dtype());
  return block;
}

/// Gradients of keys and values as they are sent on with every step.
class KeyGradients {
 public:
  KeyGradients(Tape& tape, const Shape& key, const Shape& laid_out) : tape_(tape), key_(key) {
    for (Tensor& each : own_) each = tape.make(laid_out, DType::kFloat32, "zeros_like");
    is_dense_ = is_contiguous(laid_out);
  }
  void step(int64_t i, const Ring& ring) {
    if (i == 0) return first();
    sent_.reset();
    own_ = {};
    held_ = received_;
    if (!is_half_queries(ring, i)) {
      own_[0] = tape_.make(key_, DType::kFloat32, "cat");
      own_[1] = tape_.make(key_, DType::kFloat32, "cat");
      held_.reset();
    }
    send();
  }
  Tensor take(DType dtype) {
    Tensor result = tape_.make({2 * key_.elements()}, dtype, "to.dtype");
    sent_.reset();
    return result;
  }

 private:
  void first() {
    std::array<Tensor, 2> flat;
    if (!is_dense_)
      for (Tensor& each : flat) each = tape_.make({key_.elements()}, DType::kFloat32, "flatten");
    sent_ = tape_.make({2 * key_.elements()}, DType::kFloat32, "cat");
    exchange();
  }
  void send() {
    sent_ = tape_.make({2 * key_.elements()}, DType::kFloat32, "cat");
    exchange();
  }
  void exchange() {
    const Tensor moving = tape_.make({2 * key_.elements()}, DType::kFloat32, "all_to_all_single");
    received_ = tape_.make({2 * key_.elements()}, DType::kFloat32, "wait_tensor");
  }
  Tape& tape_;
  Shape key_;
  bool is_dense_ = false;
  std::array<Tensor, 2> own_;
  Tensor sent_, received_, held_;
};

void ring_backward(Gradients& g, const Ring& ring) {
  const Tensor query = g.saved(0);
  const Tensor key = g.saved(1);
  Tape& tape = query.tape();
  const DType dtype = query.dtype();
  const Expr rows = query.size(2);
  const Expr both = 2 * key.shape().elements();
  Tensor of_query = tape.make(preserved(query.shape()), DType::kFloat32, "zeros_like");
  KeyGradients of_keys(tape, contiguous(key.shape()), preserved(key.shape()));
  Tensor own_keys = contiguous(key);
  Tensor own_values = contiguous(g.saved(2));
  Tensor sent;
  Tensor all;
  Tensor logarithms;
  std::array<Tensor, 3> parts;
  for (int64_t i = 0; i < ring.size; ++i) {
    if (i < ring.size - 1) sent = tape.make({both}, dtype, "cat");
    if (i == 0) all = gathered(tape, both, dtype, ring);
    const bool halves = is_half_queries(ring, i);
    const Expr queries = halves ? exact_div(rows, 2) : rows;
    if (halves) logarithms = tape.make({query.size(0), query.size(1), queries, 1}, DType::kFloat32, "contiguous");
    if (i == 1) {
      own_keys.reset();
      own_values.reset();
    }
    const Expr keys = i == 0 || halves ? rows : exact_div(rows, 2);
    const char* op = "_scaled_dot_product_cudnn_attention_backward";
    std::array<Tensor, 3> made;
    made[0] = tape.make(with_rows(query.shape(), queries), dtype, op);
    for (size_t k : {size_t{1}, size_t{2}}) made[k] = tape.make(with_rows(key.shape(), keys), dtype, op);
    parts = std::move(made);
    of_keys.step(i, ring);
    if (halves) of_query = tape.make(contiguous(query.shape()), DType::kFloat32, "cat");
  }
  Tensor result = tape.make(preserved(of_query.shape()), dtype, "to.dtype");
  of_query.reset();
  const Tensor keys_values = of_keys.take(dtype);
  g.out[0] = std::move(result);
  g.out[1] = tape.look(keys_values, contiguous(key.shape()), true);
  g.out[2] = tape.look(keys_values, contiguous(key.shape()), true);
}

/// What a checkpoint that keeps the op's results has of its first run, in the order they were made.
Block kept_of(const Tensor& query, const Ring& ring) {
  Tape& tape = query.tape();
  const bool is_dense = ring.rank < ring.size - 1;
  Block block;
  block.seed = tape.make(Shape{}, DType::kInt64, kAttention);
  block.offset = tape.make(Shape{}, DType::kInt64, kAttention);
  block.logarithms = tape.make({query.size(0), query.size(1), query.size(2), 1}, DType::kFloat32, kAttention);
  block.output = tape.make(is_dense ? Shape(contiguous(query.shape())) : Shape(preserved(query.shape())), query.dtype(),
                           kAttention);
  return block;
}

bool is_kept(Tape& tape) {
  if (tape.frame < 0) return false;
  const Frame& frame = tape.frame_at(tape.frame);
  return frame.keeps != nullptr && frame.has_run;
}

}  // namespace

Tensor ring_attention(Tensor query, Tensor key, Tensor value, const Ring& ring) {
  const Tensor q = std::move(query);
  const Tensor k = std::move(key);
  const Tensor v = std::move(value);
  Tape& tape = q.tape();
  Node* node = tape.record(kRing, {&q, &k, &v});
  Block block;
  {
    const NoGrad no_grad(tape);
    block = is_kept(tape) ? kept_of(q, ring) : go_round(q, k, v, ring);
  }
  for (const Tensor* each : {&q, &k, &v}) tape.save(node, *each);
  tape.save(node, block.logarithms);
  tape.save(node, block.seed);
  tape.save(node, block.offset);
  tape.save_output(node, block.output);
  Tape::attach(node, block.output);
  if (node != nullptr) node->function = [ring](Gradients& g) { ring_backward(g, ring); };
  return block.output;
}

RingInput ring_input(Tape& tape, int64_t batch, int64_t seq, const Ring& ring) {
  const auto whole = [&](DType dtype, const char* op) { return tape.make({batch, seq}, dtype, op); };
  const auto positions = [&](const char* op) { return tape.make({seq}, DType::kInt32, op); };
  Tensor tokens = whole(DType::kInt64, "_to_copy");
  Tensor labels = whole(DType::kInt64, "_to_copy");
  const Tensor arange = positions("arange");
  Tensor order;
  {
    const Tensor places = positions("arange");
    const Tensor first = tape.make({ring.size}, DType::kInt64, "arange");
    const Tensor last = tape.make({ring.size}, DType::kInt64, "rsub");
    const Shape chunks = {ring.size, seq / (2 * ring.size)};
    Tensor front = tape.make(chunks, DType::kInt32, "index");
    Tensor back = tape.make(chunks, DType::kInt32, "index");
    order = positions("stack");
    back.reset();
    front.reset();
  }
  const auto part = [&](DType dtype) {
    const Tensor sorted = whole(dtype, "gather");
    return tape.make({batch, seq / ring.size}, dtype, "clone");
  };
  RingInput input;
  input.tokens = part(DType::kInt64);
  input.labels = part(DType::kInt64);
  input.positions = part(DType::kInt32);
  return input;
}

}  // namespace peakmem::titan
