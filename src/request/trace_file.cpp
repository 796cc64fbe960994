#include "request/trace_file.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "device/allocator.h"
#include "device/gpu.h"
#include "format/json.h"
#include "format/object_reader.h"
#include "request/options.h"
#include "size/copy.h"
#include "size/nearest.h"
#include "size/parse.h"
#include "size/wording.h"
#include "trace/lifetimes.h"

namespace peakmem {
namespace {

using Kind = Objects::Kind;
using Names = ObjectReader::Names;

constexpr size_t kMaxDepth = 64;  // modules within one another
constexpr size_t kMaxPath = 512;

const Names& members() {
  static const Names names = {
      "schema",    "model",    "made_by", "versions", "made_of",  "gpu",       "alloc_conf", "world_size",
      "structure", "letters",  "guards",  "notes",    "warnings", "optimizer", "parameters", "trained_parameters",
      "managed",   "formulas", "scopes",  "turns",    "storages", "segments",  "events",     "phases",
      "weights",   "replay"};
  return names;
}

/// Reads the trace member by member.
class Reader : private ObjectReader {
 public:
  explicit Reader(Object root) : root_(root), made_(std::make_shared<Recording>()) {}

  Result<std::shared_ptr<const Recording>> read() {
    read_schema();
    if (!failed()) check_members(root_, members(), "");
    if (!failed()) read_letters();
    if (!failed()) read_about();
    if (!failed()) read_formulas();
    if (!failed()) read_program();
    if (!failed()) read_guards();
    if (!failed()) read_written_out();
    if (!failed()) check();
    if (failed()) return error();
    return std::shared_ptr<const Recording>(std::move(made_));
  }

 private:
  /// The same, kept as long as the recording is.
  const char* name(Object value, const std::string& field) {
    const std::string_view found = text(value, field);
    if (failed()) return "";
    const auto [known, is_new] = names_.try_emplace(value.id(), nullptr);
    if (is_new) known->second = made_->texts.emplace_back(found).c_str();
    return known->second;
  }
  Expr size(Object value, const std::string& field) {
    if (value.is(Kind::kInteger)) return integer(value, field, 0, -Expr::kNoNumber - 1);
    if (!value.is(Kind::kString)) return complain(field, "must be a number from 0 on or a formula"), 0;
    const auto [known, is_new] = formulas_.try_emplace(value.id(), 0);
    if (is_new) known->second = formula(value.text(), field);
    return known->second;
  }
  Expr formula(std::string_view formula, const std::string& field) {
    if (formulas_.size() > kTraceMaxFormulas)
      return complain(field, "is one formula more than " + std::to_string(kTraceMaxFormulas)), 0;
    const size_t before = drafts_.size();
    const Result<Expr> parsed = parse_formula(formula, drafts_, letters_);
    if (!parsed) {
      const Error& wrong = parsed.error();
      return complain(field,
                      in_quotes(formula) + (wrong.field.empty() ? "" : ", " + wrong.field + ":") + " " + wrong.problem,
                      wrong.hint),
             0;
    }
    for (size_t node = before; node < drafts_.size(); ++node) terms_ += drafts_.terms(static_cast<int32_t>(node));
    if (terms_ > kTraceMaxTerms)
      complain(field, "and the formulas before it have more than " + std::to_string(kTraceMaxTerms) + " terms");
    return failed() ? Expr(0) : copy_->of(*parsed);
  }

  // What the trace is of
  // -----------------------------------------------------------------------------------------------

  void read_schema() {
    if (!root_.is(Kind::kDict)) return complain("", "is no object", "see docs/trace-format.md");
    const Object schema = root_["schema"];
    if (schema.is(Kind::kString) && schema.text() == kTraceSchema) return;
    complain("schema", schema.is(Kind::kString) ? in_quotes(schema.text()) + " is not read here" : "is missing",
             "known: " + std::string(kTraceSchema));
  }

  void read_letters() {
    const Object rows = list(root_, "letters", false);
    if (rows.size() > kTraceMaxLetters) complain("letters", "are more than " + std::to_string(kTraceMaxLetters));
    for_each(rows, "letters", [&](Object row, const std::string& field) {
      check_members(row, {"name", "value", "meaning", "option", "fixed"}, field);
      if (failed()) return;
      Letter letter;
      letter.name = text(row["name"], field + ".name", 16);
      if (!failed() && (!is_symbol(letter.name) || letter.name.find('\\') != std::string::npos))
        complain(field + ".name", in_quotes(letter.name) + " is no letter followed by letters, digits and _");
      if (std::find(letters_.begin(), letters_.end(), letter.name) != letters_.end())
        complain(field + ".name", in_quotes(letter.name) + " is there twice");
      letter.value = integer(row["value"], field + ".value", 1, int64_t{1} << 40);
      letter.meaning = optional_text(row, "meaning");
      letter.option = optional_text(row, "option");
      if (const Object fixed = row["fixed"]; !fixed.is_none()) letter.fixed = truth(fixed, field + ".fixed");
      const OptionRow* option = find_option(letter.option);
      if (!letter.option.empty() && (option == nullptr || option->kind != OptionKind::kSize))
        complain(field + ".option", in_quotes(letter.option) + " is no option that is a size");
      for (const Letter& other : made_->letters)
        if (!letter.option.empty() && other.option == letter.option)
          complain(field + ".option", in_quotes(letter.option) + " is that of " + other.name);
      made_->letters.push_back(std::move(letter));
      letters_.push_back(row["name"].text());
    });
    std::vector<Expr> symbols;
    for (const Letter& letter : made_->letters) {
      drafts_.symbol(letter.name);
      symbols.push_back(made_->pool->symbol(letter.name));
    }
    copy_.emplace(drafts_, std::move(symbols));
  }

  NamedTexts named_texts(std::string_view member) {
    NamedTexts all;
    const Object object = root_[member];
    if (object.is_none()) return all;
    if (!object.is(Kind::kDict)) return complain(member, "must be an object"), all;
    for (size_t i = 0; i < object.members(); ++i) {
      const Object key = object.key(i);
      const Object value = object.value(i);
      const std::string field = std::string(member) + "." + std::string(key.text().substr(0, 60));
      std::string shown;
      if (value.is(Kind::kInteger))
        shown = std::to_string(value.number());
      else if (value.is(Kind::kBool))
        shown = value.number() != 0 ? "true" : "false";
      else if (value.is(Kind::kReal))
        shown = json_number(value.real_number());
      else
        shown = text(value, field);
      all.emplace_back(text(key, field), shown);
    }
    return all;
  }

  void read_about() {
    made_->name = optional_text(root_, "model");
    made_->made_by = optional_text(root_, "made_by");
    made_->structure = optional_text(root_, "structure");
    made_->optimizer = optional_text(root_, "optimizer");
    made_->versions = named_texts("versions");
    made_->made_of = named_texts("made_of");
    made_->notes = lines(root_, "notes");
    made_->warnings = lines(root_, "warnings");
    made_->gpu = optional_text(root_, "gpu");
    if (!made_->gpu.empty() && find_gpu(made_->gpu) == nullptr)
      complain("gpu", in_quotes(made_->gpu) + " is not known", "peakmem gpus lists those that are");
    made_->alloc_conf = optional_text(root_, "alloc_conf");
    if (!made_->alloc_conf.empty())
      if (const auto options = parse_alloc_conf(made_->alloc_conf, "alloc_conf"); !options)
        complain("alloc_conf", options.error().problem, options.error().hint);
    if (const Object ranks = root_["world_size"]; !ranks.is_none())
      made_->world_size = integer(ranks, "world_size", 1, int64_t{1} << 32);
  }

  void read_formulas() {
    for_each(list(root_, "formulas", false), "formulas",
             [&](Object row, const std::string& field) { size(row, field); });
    Program& program = made_->program;
    for (const auto& [member, sum] : {std::pair("parameters", &program.parameters),
                                      {"trained_parameters", &program.trained_parameters},
                                      {"managed", &program.managed}})
      if (const Object value = root_[member]; !value.is_none()) *sum = size(value, member);
  }

  // The program -------------------------------------------------------------------------------------------------------

  void read_program() {
    Program& program = made_->program;
    read_scopes(program);
    if (!failed()) read_turns(root_, program);
    if (!failed()) read_storages(program);
    if (!failed()) read_steps(root_, program);
    if (!failed()) read_weights(program);
  }

  void read_scopes(Program& program) {
    program.scopes.clear();
    std::vector<std::pair<size_t, size_t>> depths;  // modules and characters of the paths
    for_each(list(root_, "scopes"), "scopes", [&](Object row, const std::string& field) {
      if (!is_row(row, field, 2, 2)) return;
      const bool root = program.scopes.empty();
      const int64_t parent =
          root ? integer(row.at(0), field, -1, -1) : index(row.at(0), field, program.scopes.size(), "parent");
      program.scopes.push_back({static_cast<int32_t>(parent), name(row.at(1), field)});
      const size_t depth = root ? 0 : depths[static_cast<size_t>(parent)].first + 1;
      const size_t length = root ? 0 : depths[static_cast<size_t>(parent)].second + row.at(1).text().size() + 1;
      if (depth > kMaxDepth || length > kMaxPath) complain(field, "has too deep or too long a path");
      depths.emplace_back(depth, length);
    });
    if (program.scopes.empty()) complain("scopes", "must begin with [-1, \"\"]");
  }

  void read_turns(Object of, Program& program) {
    const Object rows = list(of, "turns", false);
    if (!rows.is_none()) program.turns.clear();
    for_each(rows, "turns", [&](Object row, const std::string& field) {
      if (!is_row(row, field, 3, 3)) return;
      Turn turn;
      turn.repeat = static_cast<int32_t>(integer(row.at(0), field, 0, INT32_MAX));
      turn.count = size(row.at(1), field);
      turn.layer = integer(row.at(2), field, 0, INT32_MAX);
      program.turns.push_back(turn);
    });
    if (failed()) return;
    if (program.turns.empty() || program.turns[0].repeat != 0 || !identical(program.turns[0].count, 1))
      complain("turns[0]", "must be [0, 1, 0]: what does not repeat");
  }

  void read_storages(Program& program) {
    for_each(list(root_, "storages"), "storages", [&](Object row, const std::string& field) {
      if (!is_row(row, field, 6, 8)) return;
      Storage storage;
      storage.bytes = size(row.at(0), field);
      storage.made_by = name(row.at(1), field);
      storage.scope = index(row.at(2), field, program.scopes.size(), "scope");
      storage.turn = index(row.at(3), field, program.turns.size(), "turn");
      storage.category = static_cast<Category>(one_of(row.at(4), field, kCategoryNames));
      storage.dtype = static_cast<DType>(one_of(row.at(5), field, dtype_names()));
      if (row.size() > 6 && !row.at(6).is_none()) storage.saved_by = name(row.at(6), field);
      if (row.size() > 7) read_flags(text(row.at(7), field), field, storage);
      program.storages.push_back(storage);
    });
  }
  static Names dtype_names() {
    Names names;
    for (const DTypeRow& row : kDTypes) names.push_back(row.name);
    return names;
  }
  /// Words that say what is seldom so; that of a stream is the stream's name.
  void read_flags(std::string_view flags, const std::string& field, Storage& storage) {
    while (!flags.empty()) {
      const std::string_view flag = flags.substr(0, flags.find(' '));
      flags.remove_prefix(std::min(flags.size(), flag.size() + 1));
      size_t stream = 0;
      while (stream < kStreamNames.size() && kStreamNames[stream] != flag) ++stream;
      if (stream < kStreamNames.size())
        storage.stream = static_cast<Stream>(stream);
      else if (flag == "host")
        storage.on_host = true;
      else if (flag == "output")
        storage.is_output = true;
      else
        return complain(field, in_quotes(flag) + " is no flag", "known: host, output, " + list_of(kStreamNames));
    }
  }

  void read_steps(Object of, Program& program) {
    const Object events = list(of, "events");
    const auto storages = static_cast<int64_t>(program.storages.size());
    for_each(events, "events", [&](Object event, const std::string& field) {
      const int64_t number = event.is(Kind::kInteger) ? event.number() : 0;
      if (number == 0 || number > storages || number < -storages)
        return complain(field, "must be a storage from 1 to " + std::to_string(storages) + ", or its negative");
      program.events.push_back({static_cast<int32_t>((number < 0 ? -number : number) - 1), number > 0});
    });
    for_each(list(of, "segments"), "segments", [&](Object row, const std::string& field) {
      if (!is_row(row, field, 3, 3)) return;
      Segment segment = {};
      segment.first = index(row.at(0), field, program.events.size() + 1, "event");
      segment.last = index(row.at(1), field, program.events.size() + 1, "event");
      segment.turn = index(row.at(2), field, program.turns.size(), "turn");
      if (segment.last < segment.first) complain(field, "ends before it begins");
      program.segments.push_back(segment);
    });
    if (!failed()) read_phases(of, program);
  }

  void read_phases(Object of, Program& program) {
    int64_t events = 0;
    for_each(list(of, "phases"), "phases", [&](Object row, const std::string& field) {
      if (!is_row(row, field, 5, 6)) return;
      Phase phase = {};
      phase.step = static_cast<int32_t>(integer(row.at(0), field, 0, 2));
      phase.micro = static_cast<int32_t>(integer(row.at(1), field, -1, INT32_MAX));
      phase.name = name(row.at(2), field);
      phase.first_segment = index(row.at(3), field, program.segments.size() + 1, "segment");
      phase.last_segment = index(row.at(4), field, program.segments.size() + 1, "segment");
      phase.empties_cache = row.size() > 5 && truth(row.at(5), field);
      if (phase.last_segment < phase.first_segment) complain(field, "ends before it begins");
      if (!program.phases.empty() && phase.step < program.phases.back().step)
        complain(field, "is of a step before that of the phase before");
      for (int32_t s = phase.first_segment; s < phase.last_segment && !failed(); ++s)
        events += program.segments[static_cast<size_t>(s)].last - program.segments[static_cast<size_t>(s)].first + 1;
      if (events > kTraceMaxEvents) complain(field, "and those before have more than 2^26 events");
      program.phases.push_back(phase);
    });
    for (const int32_t step : {1, 2})
      if (std::none_of(program.phases.begin(), program.phases.end(),
                       [&](const Phase& phase) { return phase.step == step; }))
        complain("phases", "have none of step " + std::to_string(step));
    if (!program.phases.empty() && std::string_view(program.phases[0].name) == "zero_grad")
      complain("phases[0]", "zero_grad is the end of a phase before it, and there is none");
  }

  void read_weights(Program& program) {
    for_each(list(root_, "weights", false), "weights", [&](Object row, const std::string& field) {
      if (!is_row(row, field, 4, 4)) return;
      Weight weight;
      weight.scope = index(row.at(0), field, program.scopes.size(), "scope");
      weight.turn = index(row.at(1), field, program.turns.size(), "turn");
      weight.layer = integer(row.at(2), field, 0, INT32_MAX);
      weight.trained = truth(row.at(3), field);
      program.weights.push_back(weight);
    });
  }

  // Guards ------------------------------------------------------------------------------------------------------------

  void read_guards() {
    for_each(list(root_, "guards", false), "guards", [&](Object row, const std::string& field) {
      const std::string_view guard = text(row, field, kFormulaMaxText);
      if (failed()) return;
      using Relation = Guard::Relation;
      constexpr std::array<std::pair<std::string_view, Relation>, 6> kRelations = {{{"==", Relation::kEqual},
                                                                                    {"!=", Relation::kUnequal},
                                                                                    {"<=", Relation::kAtMost},
                                                                                    {">=", Relation::kAtLeast},
                                                                                    {"<", Relation::kBelow},
                                                                                    {">", Relation::kAbove}}};
      for (const auto& [sign, relation] : kRelations) {
        const size_t place = guard.find(sign);
        if (place == std::string_view::npos) continue;
        const GuardSide left = side(guard.substr(0, place), field);
        const GuardSide right = side(guard.substr(place + sign.size()), field);
        made_->guards.push_back({std::string(guard), left, relation, right});
        return;
      }
      complain(field, in_quotes(guard) + " is no condition", "such as \"T % 8 == 0\" or \"T <= P\"");
    });
    if (made_->guards.size() > kTraceMaxFormulas) complain("guards", "are too many");
  }
  GuardSide side(std::string_view text, const std::string& field) {
    const size_t percent = text.find('%');
    GuardSide side = {formula(text.substr(0, percent), field)};
    if (percent == std::string_view::npos) return side;
    side.modulus = formula(text.substr(percent + 1), field);
    if (identical(side.modulus, 0)) complain(field, "divides by 0");
    return side;
  }

  // The same steps written out ----------------------------------------------------------------------------------------

  void read_written_out() {
    const Object replay = root_["replay"];
    if (replay.is_none()) return;
    check_members(replay, {"at", "whole", "turns", "segments", "events", "phases", "instances"}, "replay");
    if (failed()) return;
    WrittenOut written;
    written.program.scopes = made_->program.scopes;
    if (const Object whole = replay["whole"]; !whole.is_none()) written.whole = truth(whole, "replay.whole");
    read_pinned(replay["at"], written);
    if (!failed()) read_turns(replay, written.program);
    for_each(list(replay, "instances"), "instances", [&](Object row, const std::string& field) {
      const bool has_turn = row.is(Kind::kList);
      if (has_turn && !is_row(row, field, 2, 2)) return;
      const int64_t number =
          integer(has_turn ? row.at(0) : row, field, 1, static_cast<int64_t>(made_->program.storages.size()));
      if (failed()) return;
      Storage storage = made_->program.storages[static_cast<size_t>(number - 1)];
      storage.turn = has_turn ? index(row.at(1), field, written.program.turns.size(), "turn") : -1;
      written.program.storages.push_back(storage);
    });
    if (!failed()) read_steps(replay, written.program);
    if (!failed()) put_turns(written.program);
    for (const Turn& turn : written.program.turns)
      if (!identical(turn.count, 1)) complain("turns", "have the count 1 where they are written out");
    if (failed()) error().field = "replay." + error().field;
    made_->written_out = std::move(written);
  }
  void read_pinned(Object values, WrittenOut& written) {
    written.pinned.assign(made_->letters.size(), false);
    if (values.is_none()) return;
    if (!values.is(Kind::kDict)) return complain("at", "must be an object");
    for (size_t i = 0; i < values.members(); ++i) {
      const std::string_view name = values.key(i).text();
      const auto place = std::find(letters_.begin(), letters_.end(), name);
      if (place == letters_.end())
        return complain("at", in_quotes(name) + " is no letter here", did_you_mean(name, letters_));
      const auto letter = static_cast<size_t>(place - letters_.begin());
      written.pinned[letter] = true;
      integer(values.value(i), "at." + std::string(*place), made_->letters[letter].value, made_->letters[letter].value);
    }
  }
  /// An instance that does not say it is of the turn that it is made in first.
  static void put_turns(Program& program) {
    for (const Segment& segment : program.segments)
      for (int32_t i = segment.first; i < segment.last; ++i) {
        int32_t& turn = program.storages[static_cast<size_t>(program.events[static_cast<size_t>(i)].storage)].turn;
        if (turn < 0) turn = segment.turn;
      }
    for (Storage& storage : program.storages) storage.turn = std::max(storage.turn, 0);
  }

  void check() {
    const std::vector<int64_t> values = made_->values();
    if (auto wrong = check_values(*made_, values)) return complain(wrong->field, wrong->problem, wrong->hint);
    const std::vector<int64_t> formulas = made_->pool->evaluate(values);
    if (auto wrong = check_lifetimes(made_->program, formulas)) return complain(wrong->field, wrong->problem);
    if (!made_->written_out) return;
    if (auto wrong = check_lifetimes(made_->written_out->program, formulas))
      complain("replay." + wrong->field, wrong->problem);
  }

  Object root_;
  std::shared_ptr<Recording> made_;
  Names letters_;
  Pool drafts_;  // with all that is made on the way to a formula
  std::optional<FormulaCopy> copy_;
  std::unordered_map<ObjectId, const char*> names_;
  std::unordered_map<ObjectId, Expr> formulas_;
  size_t terms_ = 0;
};

}  // namespace

bool says_trace(std::string_view text) {
  return text.substr(0, 4096).find("\"peakmem-trace/") != std::string_view::npos;
}

Result<std::shared_ptr<const Recording>> read_trace(std::string_view text) {
  if (text.size() > kTraceMaxBytes)
    return Error{"", "is larger than " + std::to_string(kTraceMaxBytes >> 20) + " MiB, as no trace is", {}};
  const Result<ObjectFile> file = parse_json_graph(text);
  if (!file) return file.error();
  return Reader(file->root()).read();
}

}  // namespace peakmem
