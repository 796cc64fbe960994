# Writes OUTPUT, a source that holds the tables FILES (data/launch/*.tsv) by name, in order of name.
set(rows "")
set(count 0)
list(SORT FILES)
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME_WE)
  file(READ "${file}" text)
  string(APPEND rows "    {\"${name}\", R\"tsv(${text})tsv\"},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE "${OUTPUT}" "// NOLINTBEGIN: generated
#include <array>

#include \"launch/table.h\"

namespace peakmem {

std::span<const ShippedFile> launch_tables() {
  static constexpr std::array<ShippedFile, ${count}> kFiles = {{
${rows}  }};
  return kFiles;
}

}  // namespace peakmem
// NOLINTEND
")
