#include "estimate/formula.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "estimate/moment.h"
#include "size/order.h"

namespace peakmem {
namespace {

// A moment is worth naming as a rival where the peak would be this much lower without it.
constexpr double kNoticeable = 0.01;
// Rivals are looked for where one size is up to 2^10 times as large or as small.
constexpr int kDoublings = 10;

const char* layer_of(const Program& program, int32_t turn) {
  const auto& turns = program.turns;
  const auto place = static_cast<size_t>(turn);
  const int32_t repeat = turns[place].repeat;
  if (repeat == 0) return "";
  if (place == 0 || turns[place - 1].repeat != repeat) return ", first layer";
  return place + 1 == turns.size() || turns[place + 1].repeat != repeat ? ", last layer" : ", a layer between";
}

/// "transformer.h.*.attn: softmax, last layer" of the storage whose birth the moment follows.
std::string place_of(const Program& program, const Moment& at) {
  if (at.event < 0) return "at its start";
  const Storage& storage = program.storages[static_cast<size_t>(program.events[static_cast<size_t>(at.event)].storage)];
  const std::string path = program.path(storage.scope);
  const int32_t turn = program.segments[static_cast<size_t>(at.segment)].turn;
  return path + (path.empty() ? "" : ": ") + storage.made_by + layer_of(program, turn);
}

/// "backward"; where gradients accumulate, "backward of the first micro-batch" and "backward of every later one".
std::string phase_name(const Program& program, const Phase& phase) {
  const bool accumulates =
      std::any_of(program.phases.begin(), program.phases.end(), [](const Phase& p) { return p.micro > 0; });
  if (!accumulates || phase.micro < 0) return phase.name;
  return std::string(phase.name) + (phase.micro == 0 ? " of the first micro-batch" : " of every later micro-batch");
}

/// Sizes that the trace's structure holds for, one of them changed from those of the job.
struct Sample {
  std::vector<int64_t> sizes;
  int doublings;
};

/// The ways a part of the peak is named, in the order of the ledger's categories.
constexpr std::array<const char*, 7> kParts = {"weights",     "gradients", "optimizer", "activations of the layers",
                                               "temporaries", "inputs",    "buffers"};

class Formulas {
 public:
  explicit Formulas(const Job& job)
      : job_(job),
        traced_(std::make_shared<TracedJob>(job)),
        program_(traced_->program()),
        sizes_(traced_->symbol_values()) {}

  Result<FormulaReport> report() {
    const Result<Timeline> timeline = evaluate(program_, traced_->pool().evaluate(sizes_));
    if (!timeline) return timeline.error();
    const Peak peak = highest(program_, *timeline, 2, &PhaseLevels::tensors);
    report_.traced = traced_;
    report_.peak = formula_at(peak.at);
    report_.peak.at = report_.peak.name + ", " + report_.peak.at;
    report_.peak.name = "peak";
    find_parts(peak.at);
    find_phases(*timeline);
    find_sums();
    find_head();
    find_rivals();
    put_values();
    return std::move(report_);
  }

 private:
  FormulaOf formula_at(const Moment& at) const {
    const Phase& phase = program_.phases[static_cast<size_t>(at.phase)];
    return {phase_name(program_, phase), phase.step, live_bytes(program_, at), 0, place_of(program_, at)};
  }

  // The parts are the ledger's categories, with what the layers keep apart from what is kept once.
  void find_parts(const Moment& at) {
    const auto add = [&](const char* name, const Which& which) {
      const Expr bytes = live_bytes(program_, at, which);
      if (!identical(bytes, 0)) report_.parts.push_back({name, 2, bytes, 0, {}});
    };
    for (size_t i = 0; i < kParts.size(); ++i) {
      const auto category = static_cast<Category>(i);
      const bool saves = category == Category::kActivations;
      add(kParts[i], [&](const Storage& storage) {
        return part_of(storage) == category && (!saves || in_layers(program_, storage));
      });
      if (saves)
        add("activations outside the layers",
            [&](const Storage& storage) { return part_of(storage) == category && !in_layers(program_, storage); });
    }
  }

  static Category part_of(const Storage& storage) {
    return storage.category == Category::kActivations && !is_saved(storage) ? Category::kTemporaries : storage.category;
  }

  void find_phases(const Timeline& timeline) {
    for (size_t i = 0; i < timeline.size(); ++i) {
      const std::string_view name = program_.phases[i].name;
      if (program_.phases[i].step > 0 && name != "zero_grad")
        report_.phases.push_back(formula_at(timeline[i].tensors.at));
    }
  }

  void find_sums() {
    const Moment update = before_phase(program_, 2, "optimizer");
    const Moment backward = before_phase(program_, 2, "backward");
    report_.states = {"weights, gradients and optimizer state", 2, live_bytes(program_, update, is_state), 0, {}};
    const auto kept = [&](bool layers) {
      return live_bytes(program_, backward, [this, layers](const Storage& storage) {
        return storage.category == Category::kActivations && in_layers(program_, storage) == layers;
      });
    };
    report_.kept_by_layers = {"kept by the layers for the backward pass", 2, kept(true), 0, {}};
    report_.kept_by_rest = {"kept outside the layers for the backward pass", 2, kept(false), 0, {}};
  }

  /// Logits and what the loss makes of them: as large as tokens times vocabulary.
  std::vector<bool> of_tokens_and_vocabulary() const {
    std::vector<bool> found;
    for (const Storage& storage : program_.storages) {
      const auto has = [&](const char* symbol) { return degree(storage.bytes, symbol).power > 0; };
      const bool is_tensor = storage.category != Category::kWorkspace;
      found.push_back(is_tensor && storage.bytes.is_formula() && has("V") && (has("B") || has("T")));
    }
    return found;
  }

  /// Layers do not touch them, so walking each segment once finds where they are most.
  void find_head() {
    const std::vector<bool> counts = of_tokens_and_vocabulary();
    const std::vector<int64_t> values = traced_->pool().evaluate(sizes_);
    int64_t level = 0;
    int64_t highest = 0;
    Moment at;
    for (size_t p = 0; p < program_.phases.size(); ++p) {
      const Phase& phase = program_.phases[p];
      for (int32_t s = phase.first_segment; s < phase.last_segment; ++s) {
        const Segment& segment = program_.segments[static_cast<size_t>(s)];
        for (int32_t i = segment.first; i < segment.last; ++i) {
          const Event& event = program_.events[static_cast<size_t>(i)];
          const auto storage = static_cast<size_t>(event.storage);
          if (!counts[storage]) continue;
          const int64_t bytes = value_of(program_.storages[storage].bytes, values);
          level += event.birth ? bytes : -bytes;
          if (level <= highest || phase.step != 2) continue;
          highest = level;
          at = {static_cast<int32_t>(p), s, i, false};
        }
      }
    }
    report_.head.name = "tokens times vocabulary: logits and loss";
    if (at.phase < 0) return;
    report_.head.bytes = live_bytes(program_, at, [&](const Storage& storage) {
      return counts[static_cast<size_t>(&storage - program_.storages.data())];
    });
    report_.head.at = place_of(program_, at);
  }

  /// Whether the trace would be the same with the size so: which kernels run depends on these.
  bool holds_for(std::string_view symbol, int64_t size) const {
    if (job_.recording) return recording_holds_for(symbol, size);
    const Recipe& recipe = job_.recipe;
    if (symbol == "L") return size > 3;
    if (symbol != "T") return size > 1;
    const bool window = (size >= job_.description.window) == (recipe.seq >= job_.description.window);
    return size > 1 && window && (size % 8 == 0) == (recipe.seq % 8 == 0) && (size % 16 == 0) == (recipe.seq % 16 == 0);
  }

  bool recording_holds_for(std::string_view symbol, int64_t size) const {
    std::vector<int64_t> sizes = sizes_;
    sizes[static_cast<size_t>(traced_->pool().symbol_index(symbol))] = size;
    return !check_values(*job_.recording, sizes);
  }

  void add_samples(std::string_view symbol, std::vector<Sample>& samples) const {
    const int32_t index = traced_->pool().symbol_index(symbol);
    if (index < 0) return;
    const int64_t size = sizes_[static_cast<size_t>(index)];
    for (int doublings = -kDoublings; doublings <= kDoublings; ++doublings) {
      const int64_t factor = int64_t{1} << std::abs(doublings);
      const int64_t changed = doublings > 0 ? (Expr(size) * Expr(factor)).number() : size / factor;
      if (doublings == 0 || !holds_for(symbol, changed)) continue;
      samples.push_back({sizes_, std::abs(doublings)});
      samples.back().sizes[static_cast<size_t>(index)] = changed;
    }
  }

  // Sizes near the job's come first, so that a rival is found by its nearest win.
  void find_rivals() {
    std::vector<Sample> samples;
    for (const char* symbol : {"B", "T", "L", "V"}) add_samples(symbol, samples);
    sort_by(samples, [](const Sample& sample) { return int64_t{sample.doublings}; });
    for (const Sample& sample : samples) {
      const std::vector<int64_t> values = traced_->pool().evaluate(sample.sizes);
      const Result<Timeline> timeline = evaluate(program_, values);
      if (!timeline) continue;
      const Peak peak = highest(program_, *timeline, 2, &PhaseLevels::tensors);
      auto known = static_cast<double>(value_of(report_.peak.bytes, values));
      for (const FormulaOf& rival : report_.rivals)
        known = std::max(known, static_cast<double>(value_of(rival.bytes, values)));
      if (known < (1 - kNoticeable) * static_cast<double>(peak.bytes)) report_.rivals.push_back(formula_at(peak.at));
    }
  }

  void put_values() {
    const std::vector<int64_t> values = traced_->pool().evaluate(sizes_);
    for (FormulaOf* one :
         {&report_.peak, &report_.states, &report_.kept_by_layers, &report_.kept_by_rest, &report_.head})
      one->value = value_of(one->bytes, values);
    for (std::vector<FormulaOf>* list : {&report_.parts, &report_.phases, &report_.rivals})
      for (FormulaOf& one : *list) one.value = value_of(one.bytes, values);
  }

  const Job& job_;
  std::shared_ptr<const TracedJob> traced_;
  const Program& program_;
  const std::vector<int64_t>& sizes_;
  FormulaReport report_;
};

}  // namespace

Result<FormulaReport> formulas(const Job& job) { return Formulas(job).report(); }

}  // namespace peakmem
