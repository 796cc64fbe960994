#include "request/trace_writer.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "estimate/ledger.h"
#include "estimate/reserved.h"
#include "format/json_writer.h"
#include "request/trace_file.h"
#include "size/print.h"
#include "trace/evaluate.h"

namespace peakmem {
namespace {

constexpr int64_t kDequantizedRows = 1536;  // see dequantizes_forward

std::string ascii(Expr e) { return print(e, {.notation = Notation::kAscii, .letters = {}, .symbol_values = {}}); }

void write_size(JsonWriter& out, Expr size) {
  if (size.is_number())
    out.value(size.number());
  else
    out.value(ascii(size));
}

/// A list of its own for each row's values.
template <class... Values>
void write_row(JsonWriter& out, const Values&... values) {
  out.begin_list();
  (out.value(values), ...);
  out.end_list();
}

/// The letters that another value can be given, as far as the guards say.
bool is_open(std::string_view letter) { return letter == "B" || letter == "T" || letter == "U" || letter == "L"; }

std::string meaning_of(std::string_view letter) {
  if (letter == "P") return "rows of the table of positions";
  if (letter == "E") return "experts";
  for (const OptionRow& row : option_rows())
    if (row.symbol == letter) return std::string(row.help.substr(0, row.help.find(" (")));
  return {};
}
std::string_view option_of(std::string_view letter) {
  for (const OptionRow& row : option_rows())
    if (row.symbol == letter) return row.name;
  return {};
}

/// The conditions under which a job's trace is the same: what form_of() looks at, and how deep a stack must be.
class Guards {
 public:
  Guards(const Job& job, const Pool& pool, const Dims& dims) : job_(job), pool_(pool), dims_(dims) {}

  std::vector<std::string> lines() {
    if (has("B")) add("B >= 2");
    length("T", job_.recipe.seq);
    length("U", job_.recipe.target_seq);
    positions();
    depth();
    quantized(job_.recipe.batch, "B");
    quantized(job_.recipe.eval_batch, std::to_string(job_.recipe.eval_batch));
    if (job_.recipe.kernels.loss == LossKernel::kFusedLinear || job_.recipe.kernels.loss == LossKernel::kChunked)
      loss();
    return std::move(lines_);
  }

 private:
  bool has(std::string_view letter) const { return pool_.symbol_index(letter) >= 0; }
  void add(const std::string& line) { lines_.push_back(line); }

  void length(const std::string& letter, int64_t value) {
    if (!has(letter)) return;
    add(letter + " >= 2");
    for (const int64_t step : {8, 16, 128})
      add(letter + " % " + std::to_string(step) + (value % step == 0 ? " == 0" : " != 0"));
  }

  void positions() {
    const Description& d = job_.description;
    if (!has("T")) return;
    if (d.learned_positions && job_.recipe.seq <= d.longest_sequence())
      add("T <= " + std::to_string(d.longest_sequence()));
    if (d.window > 0 && d.window < (int64_t{1} << 40))
      add(std::string("T ") + (job_.recipe.seq >= d.window ? ">= " : "< ") + std::to_string(d.window));
  }

  /// With up to three turns of a run there is none between the first and the last.
  void depth() {
    for (const std::vector<Expr>* stack : {&dims_.runs, &dims_.decoder_runs})
      for (const Expr turns : *stack)
        if (turns.is_formula()) add(ascii(turns) + " >= 4");
  }

  void quantized(int64_t batch, const std::string& written) {
    const Recipe& r = job_.recipe;
    const Description& d = job_.description;
    if (!in_4_bits(r.quantize) || batch == 0) return;
    const std::string rows = (batch == r.batch && !has("B") ? std::to_string(batch) : written) + "*" +
                             (has("T") ? "T" : std::to_string(r.seq));
    const auto add_of = [&](int64_t times, int64_t most) {
      const bool more = batch * r.seq * times > most;
      add(rows + "*" + std::to_string(times) + (more ? " > " : " <= ") + std::to_string(most));
    };
    add_of(r.choices, kDequantizedRows);
    if (d.experts > 0) add_of(d.experts_per_token, kDequantizedRows * d.experts);
  }

  /// Pieces are counted up to three, see loss_pieces.
  void loss() {
    const LossPieces pieces = loss_pieces(job_);
    const auto add_of = [&](int64_t count, Expr all, Expr each) {
      if (const Expr number = ceil_div(all, each); number.is_formula())
        add(ascii(number) + (count == 3 ? " >= 3" : count == 1 ? " <= 1" : " == 2"));
    };
    add_of(pieces.chunks, dims_.batch * dims_.seq, dims_.loss_rows);
    add_of(pieces.token_tiles, dims_.batch * (dims_.seq - 1), kTokenTile);
    add_of(pieces.vocabulary_tiles, dims_.vocab, kVocabularyTile);
  }

  const Job& job_;
  const Pool& pool_;
  const Dims& dims_;
  std::vector<std::string> lines_;
};

/// The program with the storages that the written-out one has beside: modules and rows of both.
class Tables {
 public:
  Tables(const Program& program, const Program& written) : scopes_(program.scopes), storages_(program.storages) {
    for (size_t i = 0; i < scopes_.size(); ++i)
      scope_of_[{scopes_[i].parent, scopes_[i].name}] = static_cast<int32_t>(i);
    for (size_t i = 0; i < storages_.size(); ++i) row_of_.try_emplace(key(storages_[i], storages_[i].scope), i);
    std::vector<int32_t> places = {0};
    for (size_t i = 1; i < written.scopes.size(); ++i)
      places.push_back(scope(places[static_cast<size_t>(written.scopes[i].parent)], written.scopes[i].name));
    for (const Storage& storage : written.storages)
      instances_.push_back(row(storage, places[static_cast<size_t>(storage.scope)]));
  }
  const std::vector<ScopeName>& scopes() const { return scopes_; }
  const std::vector<Storage>& storages() const { return storages_; }
  /// By storage of the written-out program: which of storages() it is like.
  const std::vector<size_t>& instances() const { return instances_; }

 private:
  using Key = std::tuple<uint64_t, std::string_view, int32_t, Category, DType, std::string_view, bool, bool, Stream>;
  static Key key(const Storage& s, int32_t scope) {
    return {s.bytes.key(), s.made_by,   scope,   s.category, s.dtype, s.saved_by == nullptr ? "" : s.saved_by,
            s.on_host,     s.is_output, s.stream};
  }
  int32_t scope(int32_t parent, const char* name) {
    const auto [known, is_new] = scope_of_.try_emplace({parent, name}, static_cast<int32_t>(scopes_.size()));
    if (is_new) scopes_.push_back({parent, name});
    return known->second;
  }
  size_t row(const Storage& storage, int32_t scope) {
    const auto [known, is_new] = row_of_.try_emplace(key(storage, scope), storages_.size());
    if (!is_new) return known->second;
    storages_.push_back(storage);
    storages_.back().scope = scope;
    storages_.back().turn = 0;
    return known->second;
  }

  std::vector<ScopeName> scopes_;
  std::vector<Storage> storages_;
  std::map<std::pair<int32_t, std::string_view>, int32_t> scope_of_;
  std::map<Key, size_t> row_of_;
  std::vector<size_t> instances_;
};

/// Writes the members of the file.
class TraceWriter {
 public:
  explicit TraceWriter(const Request& request) : request_(request), job_(request.job), out_(0) {}

  Result<std::string> write(const OptionValues& options) {
    Pool pool;
    std::vector<int64_t> values;
    const Dims dims = symbol_dims(job_, pool, values);
    const Program program = trace_step(job_, dims);
    const Result<Timeline> timeline = evaluate(program, pool.evaluate(values));
    if (!timeline) return timeline.error();
    const Job part = replayed_part(job_);
    std::vector<int64_t> values_of_part = values;
    const Program written = trace_step(part, symbol_dims(part, pool, values_of_part), true);
    out_.begin_object();
    write_about(options);
    write_letters(pool, values);
    list("guards", Guards(job_, pool, dims).lines(), [&](const std::string& guard) { out_.value(guard); });
    write_sums(program);
    const Tables tables(program, written);
    write_formulas(pool, program, tables);
    write_tables(program, tables);
    write_steps(program);
    write_replay(written, tables, pool, part);
    out_.end_object();
    return std::move(out_).text();
  }

 private:
  template <class Rows, class Each>
  void list(std::string_view name, const Rows& rows, const Each& each) {
    out_.key(name);
    out_.begin_list();
    for (const auto& row : rows) each(row);
    out_.end_list();
  }

  void write_about(const OptionValues& options) {
    out_.member("schema", kTraceSchema);
    out_.member("model", request_.name);
    out_.member("made_by", "peakmem");
    out_.key("made_of");
    out_.begin_object();
    out_.member("family", job_.description.family);
    for (const OptionValue& option : options)
      if (const OptionRow* row = find_option(option.name);
          row->symbol.empty() && row->name != "gpu" && row->group != "Output")
        out_.member(option.name, option.text.empty() ? "true" : option.text);
    out_.end_object();
    if (request_.gpu != nullptr) out_.member("gpu", request_.gpu->name);
    out_.member("world_size", ranks_of(job_.recipe));
    out_.member("optimizer", job_.recipe.optimizer->source);
    list("notes", request_.assumptions, [&](const std::string& line) {
      if (!is_of_letter(line)) out_.value(line);
    });
    list("warnings", request_.warnings, [&](const std::string& line) { out_.value(line); });
  }
  /// "batch: 8, as ...", which another value of the letter would make wrong.
  static bool is_of_letter(std::string_view line) {
    const OptionRow* row = find_option(line.substr(0, line.find(':')));
    return row != nullptr && !row->symbol.empty();
  }

  void write_letters(const Pool& pool, const std::vector<int64_t>& values) {
    out_.key("letters");
    out_.begin_list();
    for (size_t i = 0; i < pool.atoms(); ++i) {
      const Atom& atom = pool.atom(static_cast<int32_t>(i));
      if (atom.kind != Atom::Kind::kSymbol) continue;
      out_.begin_object();
      out_.member("name", atom.name);
      out_.member("value", values[static_cast<size_t>(pool.symbol_index(atom.name))]);
      out_.member("meaning", meaning_of(atom.name));
      if (!option_of(atom.name).empty()) out_.member("option", option_of(atom.name));
      if (!is_open(atom.name)) out_.member("fixed", true);
      out_.end_object();
    }
    out_.end_list();
  }

  void write_sums(const Program& program) {
    for (const auto& [name, size] : {std::pair("parameters", program.parameters),
                                     {"trained_parameters", program.trained_parameters},
                                     {"managed", program.managed}}) {
      out_.key(name);
      write_size(out_, size);
    }
  }

  /// In the order in which they were made, which decides between rows that are equal otherwise.
  void write_formulas(const Pool& pool, const Program& program, const Tables& tables) {
    std::vector<Expr> sizes(pool.size(), Expr(0));
    const auto note = [&](Expr size) {
      if (size.is_formula()) sizes[static_cast<size_t>(size.node())] = size;
    };
    for (const Storage& storage : tables.storages()) note(storage.bytes);
    for (const Turn& turn : program.turns) note(turn.count);
    std::erase_if(sizes, [](Expr size) { return !size.is_formula(); });
    list("formulas", sizes, [&](Expr size) { write_size(out_, size); });
  }

  void write_tables(const Program& program, const Tables& tables) {
    list("scopes", tables.scopes(), [&](const ScopeName& scope) { write_row(out_, scope.parent, scope.name); });
    write_turns(program);
    list("storages", tables.storages(), [&](const Storage& storage) { write_storage(storage); });
    list("weights", program.weights,
         [&](const Weight& weight) { write_row(out_, weight.scope, weight.turn, weight.layer, weight.trained); });
  }
  void write_turns(const Program& program) {
    list("turns", program.turns, [&](const Turn& turn) {
      out_.begin_list();
      out_.value(turn.repeat);
      write_size(out_, turn.count);
      out_.value(turn.layer);
      out_.end_list();
    });
  }
  static std::string flags_of(const Storage& storage) {
    std::string flags;
    const auto add = [&](std::string_view flag) { flags += (flags.empty() ? "" : " ") + std::string(flag); };
    if (storage.on_host) add("host");
    if (storage.is_output) add("output");
    if (storage.stream != Stream::kMain) add(kStreamNames[static_cast<size_t>(storage.stream)]);
    return flags;
  }
  void write_storage(const Storage& storage) {
    out_.begin_list();
    write_size(out_, storage.bytes);
    out_.value(storage.made_by);
    out_.value(storage.scope);
    out_.value(storage.turn);
    out_.value(kCategoryNames[static_cast<size_t>(storage.category)]);
    out_.value(name_of(storage.dtype));
    const std::string flags = flags_of(storage);
    if (storage.saved_by != nullptr)
      out_.value(storage.saved_by);
    else if (!flags.empty())
      out_.null();
    if (!flags.empty()) out_.value(flags);
    out_.end_list();
  }

  void write_steps(const Program& program) {
    list("events", program.events,
         [&](const Event& event) { out_.value(event.birth ? event.storage + 1 : -event.storage - 1); });
    list("segments", program.segments,
         [&](const Segment& segment) { write_row(out_, segment.first, segment.last, segment.turn); });
    list("phases", program.phases, [&](const Phase& phase) {
      out_.begin_list();
      for (const int32_t number : {phase.step, phase.micro}) out_.value(number);
      out_.value(phase.name);
      for (const int32_t segment : {phase.first_segment, phase.last_segment}) out_.value(segment);
      if (phase.empties_cache) out_.value(true);
      out_.end_list();
    });
  }

  void write_replay(const Program& written, const Tables& tables, const Pool& pool, const Job& part) {
    out_.key("replay");
    out_.begin_object();
    out_.key("at");
    out_.begin_object();
    if (pool.symbol_index("L") >= 0) out_.member("L", job_.description.layers);
    out_.end_object();
    out_.member("whole", part.description.layers == job_.description.layers &&
                             part.description.decoder_layers == job_.description.decoder_layers);
    write_turns(written);
    write_instances(written, tables);
    write_steps(written);
    out_.end_object();
  }
  void write_instances(const Program& written, const Tables& tables) {
    std::vector<int32_t> made_in(written.storages.size(), -1);
    for (const Segment& segment : written.segments)
      for (int32_t i = segment.first; i < segment.last; ++i) {
        int32_t& turn = made_in[static_cast<size_t>(written.events[static_cast<size_t>(i)].storage)];
        if (turn < 0) turn = segment.turn;
      }
    out_.key("instances");
    out_.begin_list();
    for (size_t i = 0; i < written.storages.size(); ++i) {
      const auto row = static_cast<int64_t>(tables.instances()[i]) + 1;
      if (made_in[i] < 0 || made_in[i] == written.storages[i].turn)
        out_.value(row);
      else
        write_row(out_, row, written.storages[i].turn);
    }
    out_.end_list();
  }

  const Request& request_;
  const Job& job_;
  JsonWriter out_;
};

}  // namespace

Result<std::string> trace_text(const Request& request, const OptionValues& options) {
  return TraceWriter(request).write(options);
}

}  // namespace peakmem
