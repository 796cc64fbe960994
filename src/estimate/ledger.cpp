#include "estimate/ledger.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "size/order.h"

namespace peakmem {
namespace {

/// A category and how its rows explain themselves.
struct CategoryRow {
  Category category;
  const char* why;
};

constexpr std::array<CategoryRow, 8> kCategories = {{
    {Category::kWeights, "a parameter of the model"},
    {Category::kGradients, "kept by AccumulateGrad from its backward to zero_grad(set_to_none=True)"},
    {Category::kOptimizer, "state kept from step to step"},
    {Category::kActivations, "saved by the forward pass for the backward pass"},
    {Category::kTemporaries, "alive only around the peak"},
    {Category::kInputs, "the batch, held by the training loop"},
    {Category::kBuffers, "a tensor of the model that is not trained"},
    {Category::kWorkspace, "what the kernel allocates for itself while it runs"},
}};

/// Forward tensors that no node saved are alive because something still names them: the loop, or the module that runs.
Category category_of(const Storage& storage) {
  const bool unsaved = storage.category == Category::kActivations && storage.saved_by == nullptr && !storage.is_output;
  return unsaved ? Category::kTemporaries : storage.category;
}

/// Where a job's optimizer state is said to come from.
std::string optimizer_source(const Job& job) {
  return job.recording ? job.recording->optimizer : std::string(job.recipe.optimizer->source);
}

std::string why(const Job& job, const Storage& storage) {
  const CategoryRow& row = kCategories[static_cast<size_t>(category_of(storage))];
  std::string text = row.why;
  const std::string made = std::string("made by ") + storage.made_by;
  switch (row.category) {
    case Category::kActivations:
      if (storage.is_output) return made + ", held by the loop's name outputs until the next forward pass has returned";
      return made + ", kept for the backward of " + storage.saved_by + " (derivatives.yaml, torch 2.13)";
    case Category::kTemporaries:
      return made + ", " + text;
    case Category::kOptimizer:
      text = std::string(storage.made_by) + ", " + text;
      if (const std::string source = optimizer_source(job); !source.empty()) text += " (" + source + ")";
      return text;
    case Category::kGradients:
      if (std::string_view(storage.made_by) == "ddp_bucket")
        text = "a bucket of DistributedDataParallel's reducer (reducer.cpp, torch 2.13)";
      if (std::string_view(storage.made_by) == "flat_gradient")
        text = "this rank's part of a unit's, which zero_grad() leaves until the next forward pass (FSDP1)";
      if (std::string_view(storage.made_by) == "reduce_scatter_output")
        text = "this rank's part, from its reduce-scatter to zero_grad(set_to_none=True)";
      return text + ", in " + std::string(name_of(storage.dtype));
    case Category::kWeights:
      return text + ", in " + std::string(name_of(storage.dtype));
    case Category::kInputs:
    case Category::kBuffers:
    case Category::kWorkspace:
      break;
  }
  return text;
}

/// Storages that are one row: the same category, place, op and size.
using Key = std::tuple<size_t, int32_t, std::string_view, bool, int64_t, int64_t>;

Key key_of(const Storage& storage) {
  return {static_cast<size_t>(category_of(storage)),
          storage.scope,
          storage.made_by,
          storage.bytes.is_formula(),
          storage.bytes.is_formula() ? storage.bytes.node() : storage.bytes.number(),
          0};
}

LedgerRow extra_row(const char* category, const char* name, int64_t bytes, const char* why) {
  LedgerRow row;
  row.category = category;
  row.name = name;
  row.count = 1;
  row.bytes = bytes;
  row.formula = bytes;
  row.why = why;
  return row;
}

template <class Row>
void largest_first(std::vector<Row>& rows) {
  sort_by(rows, [](const Row& row) { return -row.bytes; });
}

void add(std::vector<LedgerSum>& sums, std::string_view name, const LedgerRow& row) {
  auto sum = std::find_if(sums.begin(), sums.end(), [&](const LedgerSum& each) { return each.name == name; });
  if (sum == sums.end()) sum = sums.insert(sums.end(), LedgerSum{std::string(name)});
  sum->count += row.count;
  sum->bytes += row.bytes;
}

}  // namespace

const char* category_name(const Storage& storage) {
  return kCategoryNames[static_cast<size_t>(category_of(storage))].data();
}

std::string row_name(const Program& program, const Storage& storage) {
  std::string path = program.path(storage.scope);
  const Category category = category_of(storage);
  const bool named =
      category == Category::kWeights || category == Category::kGradients || category == Category::kBuffers;
  if (!named) path += (path.empty() ? "" : ": ") + std::string(storage.made_by);
  return path;
}

std::vector<LedgerRow> ledger(const Job& job, const Program& program, const Moment& at, const Pool& pool,
                              const std::vector<int64_t>& symbol_values, const BesideStorages& beside) {
  const std::vector<Expr> counts = live_counts(program, at);
  const std::vector<int64_t> values = pool.evaluate(symbol_values);  // counts are formulas of L
  std::map<Key, LedgerRow> rows;
  int64_t rounding = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const Storage& storage = program.storages[i];
    const int64_t count = value_of(counts[i], values);
    if (count == 0) continue;
    const int64_t each = value_of(storage.bytes, values);
    LedgerRow& row = rows[key_of(storage)];
    row.count += count;
    row.bytes += count * each;
    row.formula += counts[i] * storage.bytes;
    rounding += count * (of_allocator(storage, each) - each);
    if (!row.category.empty()) continue;
    row.category = category_name(storage);
    row.name = row_name(program, storage);
    row.why = why(job, storage);
  }
  std::array<std::vector<LedgerRow>, kCategories.size()> by_category;
  for (auto& [key, row] : rows) by_category[std::get<0>(key)].push_back(std::move(row));
  std::vector<LedgerRow> ordered;
  for (std::vector<LedgerRow>& alike : by_category) {
    largest_first(alike);
    for (LedgerRow& row : alike) ordered.push_back(std::move(row));
  }
  ordered.push_back(extra_row("rounding", "blocks of 512 bytes", rounding,
                              "the CUDA caching allocator rounds every storage up (CUDACachingAllocator.cpp)"));
  ordered.push_back(extra_row("rounding", "blocks left whole", beside.left_whole_bytes,
                              "the allocator does not split off less than 1 MiB of a large block: by its replay, "
                              "of models deeper than it replays in proportion"));
  ordered.push_back(extra_row(
      "workspace", beside.cublas_handles == 1 ? "cuBLAS, one handle" : "cuBLAS, two handles", beside.cublas_bytes,
      "one for the forward pass's thread, one for autograd's (CublasHandlePool.cpp, torch 2.13)"));
  return ordered;
}

std::vector<LedgerSum> sum_categories(const Report& report) {
  std::vector<LedgerSum> sums;
  for (const LedgerRow& row : report.ledger) add(sums, row.category, row);
  largest_first(sums);
  return sums;
}

std::vector<LedgerSum> sum_modules(const Report& report, std::string_view category) {
  std::vector<LedgerSum> sums;
  for (const LedgerRow& row : report.ledger)
    if (row.category == category) add(sums, std::string_view(row.name).substr(0, row.name.find(": ")), row);
  largest_first(sums);
  return sums;
}

}  // namespace peakmem
