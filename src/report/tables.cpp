#include "report/tables.h"

#include <algorithm>

#include "device/gpu.h"
#include "family/family.h"
#include "format/json.h"
#include "format/json_writer.h"
#include "recipe/optimizers.h"
#include "report/report_json.h"
#include "request/choices.h"
#include "request/request.h"
#include "request/shipped.h"
#include "request/words.h"
#include "size/bytes.h"
#include "size/wording.h"

namespace peakmem {
namespace {

Cell size_cell(int64_t number) { return {std::to_string(number), number}; }
Cell bytes_cell(int64_t bytes) { return {in_binary_units(bytes), bytes}; }

std::vector<Cell> model_row(const ShippedFile& file) {
  std::vector<std::string> unknown;
  const Result<Value> value = parse_json(file.text);
  const Value* source = value ? value->find("source") : nullptr;  // the page has none: cmake/embed.cmake
  const Result<Description> description =
      value ? read_description(named_config(*value, file.name).config, nullptr, unknown) : value.error();
  const Description d = description ? *description : Description{};
  return {text_cell(file.name),   text_cell(d.family),
          size_cell(d.layers),    size_cell(d.hidden),
          size_cell(d.heads),     size_cell(d.kv_heads),
          size_cell(d.ffn),       size_cell(d.vocab),
          size_cell(d.positions), text_cell(source == nullptr ? std::string_view() : std::string_view(source->string))};
}

std::string states_of(const Optimizer& optimizer) {
  std::string names;
  for (const State& state : optimizer.state) add_to_list(names, state.name);
  return names.empty() ? "none" : names;
}

std::string tasks_of(const Family& family) {
  std::string names;
  for (const TaskRow& row : task_rows())
    if (std::find(family.tasks.begin(), family.tasks.end(), row.task) != family.tasks.end())
      add_to_list(names, row.name);
  return names;
}

std::vector<size_t> widths_of(const Table& table) {
  std::vector<size_t> widths;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    size_t width = columns(table.columns[i].title);
    for (const auto& row : table.rows) width = std::max(width, columns(row[i].text));
    widths.push_back(width);
  }
  return widths;
}

std::string row_text(const Table& table, const std::vector<Cell>& cells, const std::vector<size_t>& widths) {
  std::string text;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (table.columns[i].shown != Shown::kInRow) continue;
    const bool number = table.rows.empty() ? false : table.rows[0][i].number.has_value();
    text += (text.empty() ? "" : "  ") + (number ? right(cells[i].text, widths[i]) : left(cells[i].text, widths[i]));
  }
  return text;
}

/// The long columns of a row, below it.
void write_below(Page& page, const Table& table, const std::vector<Cell>& row, bool sources) {
  for (size_t i = 0; i < row.size(); ++i) {
    const Shown shown = table.columns[i].shown;
    if (row[i].text.empty() || shown == Shown::kInRow || (shown == Shown::kWithSources && !sources)) continue;
    page.paragraph("    " + std::string(table.columns[i].title) + ": ", row[i].text);
  }
}

/// A row on one line: what is wider than the terminal is left off.
void write_row(Page& page, const std::string& text, bool strong) {
  const bool fits = page.whole_names() || columns(text) <= page.width();
  const std::string line = fits ? text : std::string(first_columns(text, page.width() - 1)) + "…";
  page.line(strong ? page.strong(line) : line);
}

void write_cell(JsonWriter& out, const Column& column, const Cell& cell) {
  out.key(column.name);
  if (cell.number) return out.value(*cell.number);
  if (!cell.list) return out.value(cell.text);
  out.begin_list();
  for (const std::string_view entry : *cell.list) out.value(entry);
  out.end_list();
}

}  // namespace

Cell text_cell(std::string_view text) { return {std::string(text)}; }

Cell list_cell(const std::vector<std::string_view>& list) { return {.text = list_of(list), .list = list}; }

Table models_table() {
  Table table = {"models",
                 {{"name", "model"},
                  {"family", "family"},
                  {"layers", "layers"},
                  {"hidden", "hidden"},
                  {"heads", "heads"},
                  {"kv_heads", "kv"},
                  {"ffn", "ffn"},
                  {"vocab", "vocab"},
                  {"positions", "positions"},
                  {"source", "source", Shown::kWithSources}},
                 {}};
  for (const ShippedFile& file : shipped_models()) table.rows.push_back(model_row(file));
  return table;
}

Table gpus_table() {
  Table table = {"gpus",
                 {{"name", "gpu"},
                  {"title", "title"},
                  {"memory_bytes", "memory"},
                  {"compute_capability", "sm"},
                  {"multiprocessors", "SMs"},
                  {"context_low", "context from", Shown::kWithSources},
                  {"context_high", "context to", Shown::kWithSources},
                  {"context_most", "context at most", Shown::kWithSources},
                  {"aliases", "also called", Shown::kWithSources},
                  {"source", "source", Shown::kWithSources}},
                 {}};
  for (const Gpu& gpu : gpus())
    table.rows.push_back({text_cell(gpu.name), text_cell(gpu.title), bytes_cell(gpu.memory_bytes),
                          size_cell(gpu.compute_capability), size_cell(gpu.multiprocessors),
                          bytes_cell(gpu.context_low), bytes_cell(gpu.context_high), bytes_cell(gpu.context_most),
                          text_cell(gpu.aliases), text_cell(gpu.source)});
  return table;
}

/// What `optim` of TrainingArguments calls an optimizer, each with the implementation that the name says.
std::string optim_of(const Optimizer& optimizer) {
  std::string names;
  for (const OptimizerWord& word : optimizer_words()) {
    if (word.optimizer != optimizer.name) continue;
    add_to_list(names,
                std::string(word.name) + (word.implementation.empty() ? "" : " ") + std::string(word.implementation));
  }
  return names;
}

Table optimizers_table() {
  Table table = {"optimizers",
                 {{"name", "optimizer"},
                  {"title", "title", Shown::kWithSources},
                  {"states", "kept for each parameter"},
                  {"implementations", "implementations"},
                  {"usual", "usual"},
                  {"source", "source", Shown::kWithSources},
                  {"optim", "optim of TrainingArguments", Shown::kWithSources}},
                 {}};
  for (const Optimizer& optimizer : optimizers())
    table.rows.push_back({text_cell(optimizer.name), text_cell(optimizer.title), text_cell(states_of(optimizer)),
                          text_cell(impls_of(optimizer)), text_cell(name_in(kOptimizerImpls, optimizer.usual)),
                          text_cell(optimizer.source), text_cell(optim_of(optimizer))});
  return table;
}

Table families_table() {
  Table table = {
      "families",
      {{"name", "family"}, {"title", "title"}, {"tasks", "tasks"}, {"source", "source", Shown::kWithSources}},
      {}};
  for (const Family* family : families())
    table.rows.push_back(
        {text_cell(family->name), text_cell(family->title), text_cell(tasks_of(*family)), text_cell(family->source)});
  return table;
}

std::string table_text(const Table& table, bool sources, const Style& style) {
  Page page(style);
  const std::vector<size_t> widths = widths_of(table);
  std::vector<Cell> titles;
  for (const Column& column : table.columns) titles.push_back(text_cell(column.title));
  write_row(page, row_text(table, titles, widths), true);
  for (const auto& row : table.rows) {
    write_row(page, row_text(table, row, widths), false);
    write_below(page, table, row, sources);
  }
  return std::move(page).text();
}

std::string table_json(const Table& table) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", kSchema);
  out.key(table.name);
  out.begin_list();
  for (const auto& row : table.rows) {
    out.begin_object();
    for (size_t i = 0; i < row.size(); ++i) write_cell(out, table.columns[i], row[i]);
    out.end_object();
  }
  out.end_list();
  out.end_object();
  return std::move(out).text();
}

}  // namespace peakmem
