// Runs the program on every case of tests/cli/*.case. A case is a block of lines; a blank line ends it:
//
//     gpt2 --seq 2048                 arguments, as a shell takes them
//     exit 2
//     err: --seq                      must stand on standard error
//     out: "schema": "peakmem/1"      must stand on standard output
//     in: {"model_type": "gpt2"}      a line of standard input
//
// Where the exit code is 2 standard output must be empty and standard error must not. Lines that begin with # are for
// people. The program stands beside this test's own.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace peakmem {
namespace {

namespace fs = std::filesystem;

/// One run of the program and what it must do.
struct Case {
  std::string name;
  std::string arguments;
  int exit = 0;
  std::string in;
  std::vector<std::string> out;
  std::vector<std::string> err;
};

std::ostream& operator<<(std::ostream& stream, const Case& c) {
  return stream << c.name << ": peakmem " << c.arguments;
}

void read_line(Case& c, const std::string& line) {
  if (line.starts_with("exit ")) c.exit = std::atoi(line.c_str() + 5);
  if (line.starts_with("in: ")) c.in += line.substr(4) + "\n";
  if (line.starts_with("out: ")) c.out.push_back(line.substr(5));
  if (line.starts_with("err: ")) c.err.push_back(line.substr(5));
}

void read_cases(const fs::path& path, std::vector<Case>& cases) {
  std::ifstream file(path);
  bool inside = false;
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    if (!line.empty() && !inside)
      cases.push_back({path.stem().string() + "_" + std::to_string(++count), line == "(none)" ? "" : line});
    if (!line.empty() && inside) read_line(cases.back(), line);
    inside = !line.empty();
  }
}

std::vector<Case> all_cases() {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(std::string(PEAKMEM_ROOT) + "/tests/cli"))
    if (entry.path().extension() == ".case") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Case> cases;
  for (const fs::path& path : paths) read_cases(path, cases);
  return cases;
}

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// Whether the text is there, as it stands or broken into lines where a paragraph is.
bool says(const std::string& answer, const std::string& text) {
  return answer.find(text) != std::string::npos ||
         std::regex_replace(answer, std::regex("\n +"), " ").find(text) != std::string::npos;
}

class Cases : public testing::TestWithParam<Case> {};

TEST_P(Cases, AnswersAsWritten) {
  const Case& c = GetParam();
  const std::string base = testing::TempDir() + "peakmem_" + c.name;
  std::ofstream(base + ".in") << c.in;
  const std::string program = (fs::read_symlink("/proc/self/exe").parent_path() / "peakmem").string();
  const std::string line = "cd '" PEAKMEM_ROOT "' && timeout 20 '" + program + "' " + c.arguments + " <'" + base +
                           ".in' >'" + base + ".out' 2>'" + base + ".err'";
  const int status = std::system(line.c_str());
  const std::string out = text_of(base + ".out");
  const std::string err = text_of(base + ".err");
  for (const char* kind : {".in", ".out", ".err"}) fs::remove(base + kind);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), c.exit) << err;
  EXPECT_EQ(out.empty(), c.exit == 2) << out;
  EXPECT_EQ(err.empty(), c.exit != 2) << err;
  for (const std::string& text : c.out) EXPECT_TRUE(says(out, text)) << "not there: " << text << "\nin:\n" << out;
  for (const std::string& text : c.err) EXPECT_TRUE(says(err, text)) << "not there: " << text << "\nin:\n" << err;
}

INSTANTIATE_TEST_SUITE_P(Cli, Cases, testing::ValuesIn(all_cases()), [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace peakmem
