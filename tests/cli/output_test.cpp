// What cannot be written is an error with a word, and leaves no file behind.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace peakmem {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// A folder of its own for every test, and the program run in it.
class Output : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "peakmem_output_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// The exit code of a shell's line, in which `peakmem` is the program; its standard error is said().
  int run(const std::string& line) {
    const std::string program = (fs::read_symlink("/proc/self/exe").parent_path() / "peakmem").string();
    std::ofstream(folder_ / "line") << "cd '" << folder_.string() << "'\npeakmem() { '" << program << "' \"$@\"; }\n{ "
                                    << line << "; } >out 2>said\n";
    const int code = std::system(("bash '" + (folder_ / "line").string() + "'").c_str());
    return WIFEXITED(code) ? WEXITSTATUS(code) : -1;
  }
  std::string said() const { return text_of(folder_ / "said"); }
  std::string out() const { return text_of(folder_ / "out"); }
  /// How many files there are whose names begin so.
  int files(const std::string& name) const {
    int count = 0;
    for (const auto& entry : fs::directory_iterator(folder_))
      count += entry.path().filename().string().starts_with(name);
    return count;
  }

  fs::path folder_;
};

TEST_F(Output, AFullDiskIsAnError) {
  EXPECT_EQ(run("peakmem gpt2 >/dev/full"), 2);
  EXPECT_NE(said().find("standard output: cannot be written: No space left"), std::string::npos) << said();
}

TEST_F(Output, AClosedPipeEndsItWithoutAWord) {
  EXPECT_EQ(run("(sleep 0.3; peakmem options) | true; exit ${PIPESTATUS[0]}"), 2);
  EXPECT_EQ(said(), "");
}

TEST_F(Output, AClosedOutputIsAnError) { EXPECT_EQ(run("peakmem gpt2 >&-"), 2) << said(); }

TEST_F(Output, AFailedFileLeavesNone) {
  EXPECT_EQ(run("ulimit -f 1; peakmem timeline gpt2 --svg step.svg"), 2);
  EXPECT_NE(said().find("--svg: \"step.svg\" cannot be written"), std::string::npos) << said();
  EXPECT_EQ(files("step"), 0);
}

TEST_F(Output, AFailedFileLeavesTheOldOne) {
  std::ofstream(folder_ / "step.svg") << "old";
  EXPECT_EQ(run("ulimit -f 1; peakmem timeline gpt2 --svg step.svg"), 2);
  EXPECT_EQ(text_of(folder_ / "step.svg"), "old");
  EXPECT_EQ(files("step"), 1);
}

TEST_F(Output, AFileIsReplacedThroughItsLink) {
  std::ofstream(folder_ / "real.csv") << "old";
  fs::create_symlink("real.csv", folder_ / "step.csv");
  EXPECT_EQ(run("peakmem timeline gpt2 --csv step.csv"), 0) << said();
  EXPECT_TRUE(fs::is_symlink(folder_ / "step.csv"));
  EXPECT_GT(text_of(folder_ / "real.csv").size(), 100U);
}

TEST_F(Output, ADeviceIsWrittenToAndStays) {
  EXPECT_EQ(run("peakmem timeline gpt2 --csv /dev/null"), 0) << said();
  EXPECT_FALSE(fs::is_regular_file("/dev/null"));
}

TEST_F(Output, ADashIsStandardOutput) {
  EXPECT_EQ(run("peakmem timeline gpt2 --svg - --csv step.csv"), 0) << said();
  EXPECT_TRUE(out().starts_with("<svg"));
  EXPECT_TRUE(out().ends_with("</svg>\n")) << "nothing stands behind the picture";
  EXPECT_EQ(files("-"), 0);
  EXPECT_GT(text_of(folder_ / "step.csv").size(), 100U);
}

TEST_F(Output, TwoAnswersDoNotShareStandardOutput) {
  EXPECT_EQ(run("peakmem timeline gpt2 --svg - --csv -"), 2);
  EXPECT_NE(said().find("--csv: - and --svg - both are standard output"), std::string::npos) << said();
  EXPECT_EQ(run("peakmem timeline gpt2 --svg - --json"), 2);
  EXPECT_NE(said().find("--svg: - and --json both are standard output"), std::string::npos) << said();
}

/// Mostly points that are no job, which are quick.
constexpr const char* kLargeSweep =
    "peakmem sweep gpt2 --over heads,batch --values '7,9,11,13,17,19,23,29,12;1..460' --layers 1 --seq 16 --reserved "
    "bounds";

TEST_F(Output, ALargeSweepGoesOnWhereItEnded) {
  const std::string sweep = kLargeSweep;
  EXPECT_EQ(run("ulimit -f 200; " + sweep + " --csv grid.csv"), 2);
  EXPECT_NE(said().find("cannot be written"), std::string::npos) << said();
  EXPECT_EQ(files("grid.csv."), 1);
  EXPECT_FALSE(fs::exists(folder_ / "grid.csv"));
  EXPECT_EQ(run(sweep + " --csv grid.csv"), 0) << said();
  EXPECT_NE(said().find("goes on behind"), std::string::npos) << said();
  EXPECT_EQ(files("grid.csv"), 1);
  EXPECT_EQ(run("for i in 0 1; do " + sweep + " --shard $i/2 --csv - | tail -n +2; done"), 0) << said();
  const std::string whole = text_of(folder_ / "grid.csv");
  EXPECT_EQ(whole.substr(whole.find('\n') + 1), out());
}

TEST_F(Output, ATraceIsAdvisedOfSmallerSizesAndCards) {
  EXPECT_EQ(run("peakmem trace gpt2 --layers 1 --batch 8 --seq 512 --save step.peakmem"), 0) << said();
  EXPECT_EQ(run("peakmem advise step.peakmem --gpu 3GiB"), 0) << said();
  EXPECT_NE(out().find("--batch 4: 4 in place of 8, of the same trace"), std::string::npos) << out();
  EXPECT_NE(out().find("--gpu "), std::string::npos) << out();
}

TEST_F(Output, AGridFileSaysWhatVaries) {
  std::ofstream(folder_ / "grid.json") << R"({"batch": "1..2", "gpu": ["t4", "24GiB"]})";
  EXPECT_EQ(run("peakmem sweep gpt2 --layers 1 --grid grid.json --csv -"), 0) << said();
  EXPECT_NE(out().find("\n2,24GiB,"), std::string::npos) << out();
  std::ofstream(folder_ / "wrong.json") << R"({"batch": {"from": 1}})";
  EXPECT_EQ(run("peakmem sweep gpt2 --grid wrong.json"), 2);
  EXPECT_NE(said().find("--grid: batch"), std::string::npos) << said();
  EXPECT_EQ(run("peakmem sweep gpt2 --grid none.json"), 2);
  EXPECT_NE(said().find("none.json"), std::string::npos) << said();
}

}  // namespace
}  // namespace peakmem
