// Tables of what is known: models, GPUs, optimizers, families.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "report/page.h"

namespace peakmem {

/// A cell as people read it, and its number or its list where it is one.
struct Cell {
  std::string text;
  std::optional<int64_t> number = std::nullopt;
  std::optional<std::vector<std::string_view>> list = std::nullopt;
};
Cell text_cell(std::string_view text);
Cell list_cell(const std::vector<std::string_view>& list);

/// Where text has a column: in its row, below it, or below it where sources are asked for. JSON has all.
enum class Shown : uint8_t { kInRow, kBelow, kWithSources };

/// A column: its name in JSON and its title in text.
struct Column {
  std::string_view name;
  std::string_view title;
  Shown shown = Shown::kInRow;
};

/// Rows of cells, one for each column.
struct Table {
  std::string_view name;  // "gpus"
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
};

Table models_table();
Table gpus_table();
Table optimizers_table();
Table families_table();

std::string table_text(const Table& table, bool sources, const Style& style);
std::string table_json(const Table& table);

}  // namespace peakmem
