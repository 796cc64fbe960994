// Formulas of what is live at a moment of a trace.
#pragma once

#include <functional>
#include <string_view>

#include "trace/evaluate.h"

namespace peakmem {

/// Which storages are meant.
using Which = std::function<bool(const Storage&)>;

/// The bytes of those storages that are live at a moment.
Expr live_bytes(const Program& program, const Moment& at, const Which& which);
/// The same of all storages: what evaluate() gives as the level there.
Expr live_bytes(const Program& program, const Moment& at);

/// The moment before the last phase of that name in a step; `phase` is -1 if it has none.
Moment before_phase(const Program& program, int32_t step, std::string_view phase);

/// Made by the forward pass and saved by some op for its backward. What is alive without being saved only happens to
/// have a name still, and counts as temporary.
bool is_saved(const Storage& storage);
/// Made in a layer, of which there may be any number.
bool in_layers(const Program& program, const Storage& storage);
/// Weight, gradient or optimizer state.
bool is_state(const Storage& storage);

}  // namespace peakmem
