#include "trace/work.h"

#include "trace/tape.h"

namespace peakmem {
namespace {

void count(const Tensor& result, Work work) {
  if (result->storage < 0) return;
  Tape& tape = result.tape();
  work.storage = result->storage;
  work.again = tape.runs_again;
  tape.program.works.push_back(work);
}

}  // namespace

void count_product(const Tensor& result, Expr rows, Expr inner, Expr columns, Expr batch) {
  count(result, {.batch = batch, .rows = rows, .columns = columns, .inner = inner});
}

void count_grouped_product(const Tensor& result, Expr groups, Expr rows, Expr inner, Expr columns) {
  count(result, {.kind = WorkKind::kGroupedProduct, .heads = groups, .rows = rows, .columns = columns, .inner = inner});
}

void count_attention(const Tensor& result, const Work& attention) { count(result, attention); }

}  // namespace peakmem
