#include "launch/launch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "estimate/estimate.h"
#include "report/text.h"
#include "request/request.h"

namespace peakmem {
namespace {

const std::string kData = std::string(PEAKMEM_ROOT) + "/tests/launch/data/";

std::optional<std::string> text_at(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// A reading: what is asked, and what must come of it.
struct Reading {
  std::string asked;
  std::string same;
  std::vector<std::string> refused, says, never;
};

std::ostream& operator<<(std::ostream& stream, const Reading& reading) { return stream << reading.asked; }

std::vector<Reading> readings() {
  std::ifstream file(kData + "readings.txt");
  std::vector<Reading> all;
  bool inside = false;
  for (std::string line; std::getline(file, line); inside = !line.empty()) {
    if (line.starts_with('#')) line.clear();
    if (line.empty()) continue;
    if (!inside)
      all.push_back({line});
    else if (line.starts_with("= "))
      all.back().same = line.substr(2);
    else if (line.starts_with("says: "))
      all.back().says.push_back(line.substr(6));
    else if (line.starts_with("never: "))
      all.back().never.push_back(line.substr(7));
    else if (line.starts_with("refused: "))
      all.back().refused.push_back(line.substr(9));
    else if (line.starts_with("ask: "))
      all.back().refused.push_back(line.substr(5));
    else
      ADD_FAILURE() << "readings.txt: " << line;
  }
  return all;
}

/// Words as files, a model and options.
LaunchQuestion question_of(const std::string& asked) {
  LaunchQuestion question;
  std::istringstream words(asked);
  for (std::string word; words >> word;) {
    const OptionRow* option = word.starts_with("--") ? find_option(word.substr(2)) : nullptr;
    std::string value;
    if (option != nullptr && option->kind != OptionKind::kFlag) words >> value;
    if (word == "--from")
      question.from = value;
    else if (option != nullptr)
      question.options.push_back({word.substr(2), value});
    else if (const auto text = text_at(kData + word))
      question.texts.push_back({word, *text});
    else
      question.model = *shipped_config(word);
  }
  return question;
}

Result<Launch> launch_of(const LaunchQuestion& question) {
  const std::string& first = question.texts[0].name;
  const std::string folder = kData + first.substr(0, first.rfind('/') + 1);
  return read_launch(question, shipped_config, [&](const std::string& path) { return text_at(folder + path); });
}

std::string all_of(const Launch& launch) {
  std::string text = launch.notes.command;
  for (const auto* lines : {&launch.assumptions, &launch.notes.used, &launch.notes.defaults, &launch.notes.harmless,
                            &launch.notes.not_understood})
    for (const std::string& line : *lines) text += "\n" + line;
  return text;
}

/// The recipe in words and its peak.
std::string answer_of(const NamedConfig& model, const OptionValues& options) {
  const Result<Request> request = make_request(&model, options, Command::kEstimate);
  if (!request) return request.error().field + " " + request.error().problem;
  const Result<Report> report = estimate(request->job, request->gpu, std::nullopt, 0);
  return recipe_line(request->job) + ": " + (report ? std::to_string(report->block_bytes) : report.error().problem);
}

/// Options of a stack of its own, each by its name: they are no estimate's.
std::map<std::string, std::string> stack_options(const OptionValues& options) {
  std::map<std::string, std::string> named;
  for (const OptionValue& option : options) named[option.name] = option.text.empty() ? "true" : option.text;
  return named.contains("stack") ? named : std::map<std::string, std::string>();
}

class ReadingTest : public testing::TestWithParam<Reading> {};

TEST_P(ReadingTest, IsUnderstood) {
  const Reading& reading = GetParam();
  const Result<Launch> launch = launch_of(question_of(reading.asked));
  const std::string text =
      launch ? all_of(*launch) : launch.error().field + ": " + launch.error().problem + "\n" + launch.error().hint;
  EXPECT_EQ(static_cast<bool>(launch), reading.refused.empty()) << text;
  for (const auto* words : {&reading.says, &reading.refused})
    for (const std::string& word : *words) EXPECT_NE(text.find(word), std::string::npos) << word << "\nin " << text;
  for (const std::string& word : reading.never) EXPECT_EQ(text.find(word), std::string::npos) << text;
  if (!launch || reading.same.empty()) return;
  const LaunchQuestion same = question_of(reading.same);
  EXPECT_EQ(launch->model.name, same.model ? same.model->name : "");
  EXPECT_EQ(stack_options(launch->options), stack_options(same.options)) << text;
  if (!stack_options(same.options).empty()) return;
  EXPECT_EQ(answer_of(launch->model, launch->options), answer_of(*same.model, same.options)) << text;
}

INSTANTIATE_TEST_SUITE_P(Files, ReadingTest, testing::ValuesIn(readings()),
                         [](const auto& info) { return std::to_string(info.index); });

Result<Launch> read(std::string text, const std::string& name = "x.yaml", OptionValues options = {}) {
  return read_launch({{{name, std::move(text)}}, "", std::move(options), *shipped_config("gpt2")}, shipped_config,
                     nullptr);
}

TEST(LaunchTest, ContradictionsNameBothPlaces) {
  const Result<Launch> twice = read("optim: sgd\nbf16: true\noptim: adamw_torch\n");
  ASSERT_FALSE(twice);
  EXPECT_NE(twice.error().field.find("line 3"), std::string::npos) << twice.error().field;
  EXPECT_NE(twice.error().problem.find("line 1"), std::string::npos) << twice.error().problem;
  const Result<Launch> both = read("output_dir: x\nbf16: true\nfp16: true\n", "x.yaml", {{"seq", "64"}});
  ASSERT_FALSE(both);
  EXPECT_NE(both.error().problem.find("line 2"), std::string::npos) << both.error().problem;
  EXPECT_NE(both.error().problem.find("line 3"), std::string::npos) << both.error().problem;
}

TEST(LaunchTest, UnknownKeysAreNamedWithoutTheirValues) {
  const Result<Launch> launch =
      read("output_dir: x\nfoo_token: hf_abc\nper_device_train_batch_sise: 7\n", "x.yaml", {{"seq", "64"}});
  ASSERT_TRUE(launch) << launch.error().problem;
  const std::string text = all_of(*launch);
  EXPECT_NE(text.find("foo_token"), std::string::npos);
  EXPECT_NE(text.find("did you mean per_device_train_batch_size?"), std::string::npos) << text;
  EXPECT_EQ(text.find("hf_abc"), std::string::npos);
}

TEST(LaunchTest, TextsMayBeNumbers) {
  const Result<Launch> launch =
      read("output_dir: x\nlearning_rate: 2e-5\nmax_grad_norm: '0'\nper_device_train_batch_size: '4'\nbf16: 'yes'\n",
           "x.yaml", {{"seq", "64"}});
  ASSERT_TRUE(launch) << launch.error().problem;
  EXPECT_NE(launch->notes.command.find("--batch 4"), std::string::npos) << launch->notes.command;
  EXPECT_EQ(launch->notes.command.find("--clip-grad"), std::string::npos);
}

TEST(LaunchTest, WrongValuesAreRefusedWithTheirLine) {
  const Result<Launch> launch = read("output_dir: x\nper_device_train_batch_size: many\n", "x.yaml", {{"seq", "64"}});
  ASSERT_FALSE(launch);
  EXPECT_EQ(launch.error().field, "x.yaml, line 2: per_device_train_batch_size");
}

TEST(LaunchTest, OptionsStandInThePlaceOfWhatFilesSay) {
  const Result<Launch> launch = read("output_dir: x\nper_device_train_batch_size: 4\noptim: galore_adamw\n", "x.yaml",
                                     {{"seq", "64"}, {"batch", "2"}, {"optimizer", "sgd"}});
  ASSERT_TRUE(launch) << launch.error().problem;
  EXPECT_NE(launch->notes.command.find("--batch 2"), std::string::npos);
}

TEST(LaunchTest, AHostileTextIsRefusedAtOnce) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char name = 'b'; name < 'z'; ++name) {
    const std::string before(1, static_cast<char>(name - 1));
    bomb += std::string(1, name) + ": &" + name + " [";
    for (int i = 0; i < 9; ++i) bomb += (i > 0 ? ",*" : "*") + before;
    bomb += "]\n";
  }
  std::string long_text = "a: &a " + std::string(900'000, 'x') + "\nb: [";
  for (int i = 0; i < 10'000; ++i) long_text += "*a,";
  const std::vector<std::string> texts = {bomb,
                                          long_text + "]\n",
                                          "a: &a [*a]\n",
                                          "a: " + std::string(100'000, '['),
                                          "a: !!python/object/apply:os.system [ls]\n",
                                          std::string(kLaunchMaxBytes + 1, '#'),
                                          std::string("\x7f"
                                                      "ELF\0\0",
                                                      6),
                                          "torchrun " + std::string(100'000, '('),
                                          "A=" + std::string(500'000, '$') + "\ntorchrun $A --x",
                                          "x() { x | x & }; x"};
  for (const std::string& text : texts) {
    const auto start = std::chrono::steady_clock::now();
    const Result<Launch> launch = read(text);
    const auto took = std::chrono::steady_clock::now() - start;
    ASSERT_FALSE(launch) << text.substr(0, 80);
    EXPECT_FALSE(launch.error().problem.empty()) << text.substr(0, 80);
    EXPECT_LT(std::chrono::duration_cast<std::chrono::milliseconds>(took).count(), 1000) << text.substr(0, 80);
  }
}

}  // namespace
}  // namespace peakmem
