// The trace as a formula: of every phase and of the peak, exact and shortened, and what it says about dimensions.
#pragma once

#include "estimate/estimate.h"
#include "estimate/textbook.h"
#include "size/print.h"
#include "size/terms.h"

namespace peakmem {

/// The bytes live at one moment (or a part of them), as a sum of the ledger's rows.
struct FormulaOf {
  std::string name;  // "peak", the phase, or what it is the sum of
  int32_t step = 2;
  Expr bytes;         // exact
  int64_t value = 0;  // at the job's sizes
  std::string at;     // the module and the op of the moment, for the peak behind its phase; empty for what is no moment
};

/// Everything the trace says in symbols; formulas belong to `traced`'s pool.
struct FormulaReport {
  std::shared_ptr<const TracedJob> traced;
  FormulaOf peak;                 // tensor bytes of the steady step's peak
  std::vector<FormulaOf> parts;   // of the peak, by what the bytes are for: they sum to it
  std::vector<FormulaOf> phases;  // of step 1 and of the steady step, each at its own peak
  std::vector<FormulaOf> rivals;  // moments of the steady step that are its peak at other sizes
  FormulaOf states;               // all weights, gradients and optimizer state
  FormulaOf kept_by_layers;       // what the layers keep from the forward pass for the backward pass
  FormulaOf kept_by_rest;         // what the embedding, the last norm, the head and the loss keep
  FormulaOf head;                 // tensors of tokens times vocabulary where they are most
};

/// Fails where a size passes 62 bits.
Result<FormulaReport> formulas(const Job& job);

/// The sense of dimensions: per symbol the power it has in the peak, the share of the terms that hold it, and what
/// doubling it does.
struct Dimension {
  std::string symbol;
  int64_t value = 0;
  int32_t power = 0;
  double share = 0;           // of the peak, by terms with the symbol in them
  int64_t doubled_bytes = 0;  // the peak with this size doubled, wherever it lies then
};
std::vector<Dimension> dimensions(const FormulaReport& report);

/// "from T = 1543 on attention scores are more than all the rest" and the like.
struct CrossingLine {
  std::string text;
  int64_t value = 0;
};
/// Empty where nothing crosses. Symbols are shown by `letters`.
std::vector<CrossingLine> crossings(const FormulaReport& report, const Letters& letters = {});

}  // namespace peakmem
