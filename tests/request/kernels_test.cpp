// What kernels take for themselves, held to PyTorch's own allocator: oracle/gpu/records/kernels.jsonl.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "device/gpu.h"
#include "format/json.h"
#include "trace/attention_kernels.h"
#include "trace/embedding_workspace.h"
#include "trace/engine.h"
#include "trace/ops.h"

namespace peakmem {
namespace {

/// A row: one call of a kernel, and what it allocated and gave back, in order.
struct Row {
  std::string kernel;
  std::string gpu;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  std::vector<int64_t> freed;
};

std::vector<int64_t> numbers(const Value& list) {
  std::vector<int64_t> all;
  for (const Value& each : list.items) all.push_back(each.integer);
  return all;
}

DType dtype_of(const std::string& name) {
  return name == "bfloat16" ? DType::kBFloat16 : name == "float16" ? DType::kFloat16 : DType::kFloat32;
}

std::vector<Row> rows() {
  std::vector<Row> all;
  std::ifstream file(PEAKMEM_ROOT "/oracle/gpu/records/kernels.jsonl");
  for (std::string line; std::getline(file, line);) {
    const Value row = *parse_json(line);
    all.push_back({row.find("kernel")->string, row.find("gpu")->string, dtype_of(row.find("dtype")->string),
                   numbers(*row.find("shape")), numbers(*row.find("freed"))});
  }
  return all;
}

Tensor made(Tape& tape, const Row& row, std::initializer_list<Expr> sizes) {
  return tape.make(Shape(sizes), row.dtype, "empty");
}

void sum_over_rows(Tape& tape, const Row& row) {
  sum_to(made(tape, row, {row.shape[0], row.shape[1]}), tape.keep(Shape{row.shape[1]}));
}
void sum_over_batch(Tape& tape, const Row& row) {
  sum_to(made(tape, row, {row.shape[0], row.shape[1], row.shape[2]}), tape.keep(Shape{1, 1, row.shape[2]}));
}
void sum_over_first(Tape& tape, const Row& row) {
  sum_to(made(tape, row, {row.shape[0], row.shape[1], row.shape[2]}), tape.keep(Shape{1, row.shape[1], row.shape[2]}));
}
void softmax_backward(Tape& tape, const Row& row) {
  const Tensor x = tape.leaf(made(tape, row, {row.shape[0], row.shape[1], row.shape[2], row.shape[3]}));
  run_backward(tape, softmax(x), Tensor());
}
void embedding_backward(Tape& tape, const Row& row) {
  run_embedding_backward(tape, row.shape[0] * row.shape[1], {row.shape[3], row.shape[2]}, row.dtype);
}
Tensor heads(Tape& tape, const Row& row, size_t count) {
  return made(tape, row, {row.shape[0], row.shape[count], row.shape[3], row.shape[4]});
}
void flash_backward(Tape& tape, const Row& row) {
  run_flash_backward(heads(tape, row, 1), heads(tape, row, 2), round_up(row.shape[4], flash_column_step(row.shape[4])));
}
void efficient_backward(Tape& tape, const Row& row) {
  const AttentionKernels kernels = attention_kernels(tape.processor, row.shape[4], row.shape[4]);
  run_efficient_backward(heads(tape, row, 1), heads(tape, row, 1), kernels.efficient(row.dtype));
}

const std::map<std::string, void (*)(Tape&, const Row&)> kKernels = {
    {"sum_over_rows", sum_over_rows},
    {"sum_over_batch", sum_over_batch},
    {"sum_over_first", sum_over_first},
    {"softmax_backward", softmax_backward},
    {"embedding_backward", embedding_backward},
    {"flash_backward", flash_backward},
    {"flash_backward_usual", flash_backward},
    {"efficient_backward", efficient_backward},
    {"efficient_backward_wide", efficient_backward},
    {"efficient_backward_masked", efficient_backward},
};

/// The workspaces of a trace, in the order they were taken.
std::vector<int64_t> workspaces(const Program& program) {
  std::vector<int64_t> sizes;
  for (const Event& event : program.events) {
    const Storage& storage = program.storages[static_cast<size_t>(event.storage)];
    if (event.birth && storage.category == Category::kWorkspace && storage.bytes.number() > 0)
      sizes.push_back(storage.bytes.number());
  }
  return sizes;
}

/// Copies of an output and its gradient that the measured call was given with gaps are no kernel's own.
std::vector<int64_t> without_copies(const Row& row) {
  std::vector<int64_t> freed = row.freed;
  if (row.kernel.starts_with("flash") && freed.size() > 2 && freed[0] == freed[1])
    freed.erase(freed.begin(), freed.begin() + 2);
  return freed;
}

/// CUB's smaller temporaries, up to 6 KiB, are not modelled beyond their usual size.
bool is_alike(int64_t ours, int64_t measured) { return ours == measured || (ours == 1279 && measured < 8192); }

TEST(Kernels, TakeWhatTheAllocatorSays) {
  std::map<std::string, int> held;
  for (const Row& row : rows()) {
    const auto kernel = kKernels.find(row.kernel);
    if (kernel == kKernels.end()) continue;
    Tape tape;
    tape.processor = processor_of(*find_gpu(row.gpu));
    tape.begin_phase(1, 0, "backward");
    kernel->second(tape, row);
    const std::vector<int64_t> ours = workspaces(tape.finish());
    const std::vector<int64_t> measured = without_copies(row);
    ASSERT_EQ(ours.size(), measured.size())
        << row.kernel << " " << row.gpu << " " << ::testing::PrintToString(row.shape);
    for (size_t i = 0; i < ours.size(); ++i)
      EXPECT_TRUE(is_alike(ours[i], measured[i]))
          << row.kernel << " " << row.gpu << " " << ::testing::PrintToString(row.shape) << ": " << ours[i] << " for "
          << measured[i];
    ++held[row.kernel];
  }
  EXPECT_EQ(held.size(), kKernels.size());
  for (const auto& [kernel, count] : held) EXPECT_GE(count, 14) << kernel;
}

}  // namespace
}  // namespace peakmem
