#include "help.h"

#include "python.h"

namespace peakmem::cli {
namespace {

constexpr size_t kColumn = 30;

std::string padded(std::string text) {
  text.resize(std::max(text.size() + 2, kColumn), ' ');
  return text;
}

std::string choices_of(const OptionRow& row) {
  std::string names;
  if (row.kind == OptionKind::kChoice && row.name != "gpu" && row.name != "over")
    for (const std::string_view name : row.choices()) names += (names.empty() ? "" : "|") + std::string(name);
  return names;
}

std::string option_lines(const OptionRow& row) {
  const std::string names = choices_of(row);
  std::string text = padded("  --" + std::string(row.name) + (row.value.empty() ? "" : " " + std::string(row.value)));
  text += std::string(row.help);
  if (!row.otherwise.empty()) text += " [" + std::string(row.otherwise) + "]";
  text += "\n";
  if (!names.empty()) text += std::string(kColumn, ' ') + names + "\n";
  return text;
}

std::string options_text(Command command) {
  std::string text;
  std::string_view group;
  for (const OptionRow& row : option_rows()) {
    if (!takes(command, row)) continue;
    if (row.group != group) text += "\n" + std::string(row.group) + ":\n";
    group = row.group;
    text += option_lines(row);
  }
  return text + padded("  --help") + "this help\n" + padded("  --version") + "the version\n";
}

constexpr std::string_view kModel = R"(
MODEL is one of:
  gpt2-xl, llama-3.1-8b, ...  a config that comes with peakmem (peakmem models lists them)
  path/to/config.json         a Hugging Face config, or the folder it is in
  -                           a config on standard input (and for a FILE that is written, standard output)
  meta-llama/Llama-3.1-8B     an id of the Hugging Face hub: one that comes with peakmem, or was downloaded ($HF_HOME)
  launch.yaml, "torchrun ...", with or without a model beside
                              launch files and command lines: TrainingArguments, TRL, accelerate (docs/launch.md)
  config.json --via torch, train.py:make
                              any model that PyTorch runs, traced there (Python with torch; docs/trace.md)
  none                        with --layers, --heads and --hidden instead
)";

constexpr std::string_view kEstimateExamples = R"(
Examples:
  peakmem gpt2                                          what does training GPT-2 take, and where does it go?
  peakmem llama-3.1-8b --precision bf16 --batch 1 --seq 4096 --gpu h100-80gb
                                                        does it fit? (exit code 0: yes, 1: no)
  peakmem config.json --precision bf16-mixed --checkpointing full --optimizer adamw --clip-grad
  peakmem --layers 24 --heads 16 --hidden 1024 --seq 2048 --batch 4
  peakmem gpt2-xl --json                                the same for programs
  peakmem solve gpt2-xl --for batch --gpu a100-80gb     the largest batch that fits
  peakmem formula gpt2 --simplify 5%                    the formula
)";

constexpr std::string_view kFormulaExamples = R"(
Examples:
  peakmem formula gpt2                                              the peak, by term and exact
  peakmem formula gpt2 --simplify 5%                                without the terms that matter least
  peakmem formula --layers l --heads h --hidden d --seq t           in letters of your own
  peakmem formula llama-3.1-8b --latex --letters T=s,B=b,C=h
  peakmem formula gpt2 --textbook                                   against the formulas in circulation
)";

constexpr std::string_view kSolveExamples = R"(
Examples:
  peakmem solve gpt2-xl --for batch --gpu a100-80gb
  peakmem solve llama-3.1-8b --for seq --gpu h100-80gb --batch 1 --precision bf16 --checkpointing full
  peakmem solve gpt2-xl --for batch --gpu a100-80gb --headroom 10%      which leaves a tenth of the card free
  peakmem solve gpt2-xl --for gpu                                       every card, and the largest batch on it
  peakmem solve llama-3.1-8b --for gpus --gpu a100-80gb --batch 1       how many cards, sharded by FSDP2
  peakmem solve llama-3.1-8b --for lora-rank --gpu a100-80gb --precision bf16 --batch 1
  peakmem solve gpt2-xl --for batch,seq --gpu a100-80gb --csv fits.csv  two at once: what fits with what
)";

constexpr std::string_view kAdviseExamples = R"(
Examples:
  peakmem advise llama-3.1-8b --gpu rtx-4090 --seq 2048
  peakmem advise qwen2.5-7b --gpu t4 --json
)";

constexpr std::string_view kTimelineExamples = R"(
Examples:
  peakmem timeline gpt2
  peakmem timeline llama-3.1-8b --precision bf16 --batch 1 --seq 4096 --svg step.svg --perfetto step.json
)";

constexpr std::string_view kCompareExamples = R"(
Examples:
  peakmem compare gpt2-xl --with "--precision bf16 --checkpointing full"
  peakmem compare llama-3.1-8b --precision bf16 --batch 1 --with "qwen3-8b"
)";

constexpr std::string_view kSweepExamples = R"(
Examples:
  peakmem sweep gpt2 --over batch --values 1,2,4,8,16 --gpu rtx-4090
  peakmem sweep llama-3.2-1b --over layers --values 8,16,32,48 --precision bf16
  peakmem sweep gpt2 --over optimizer --values all --gpu t4
  peakmem sweep gpt2 --over batch,gpu --values "2^0..2^6;t4,l4,a100-40gb" --csv grid.csv
)";

constexpr std::string_view kPlanExamples = R"(
Examples:
  peakmem plan llama-3.1-8b --gpus 8xh100-80gb --global-batch 256 --seq 8192
  peakmem plan qwen2.5-1.5b --gpus 1xrtx-4090 --global-batch 16 --seq 2048 --allow lora --top 5
  peakmem plan gpt2-xl --gpus 2xa100-40gb --global-batch 16 --why 17
  peakmem plan gpt2-xl --gpus 2xa100-40gb --global-batch 16 --emit accelerate 17
)";

constexpr std::string_view kTimeExamples = R"(
Examples:
  peakmem time llama-3.1-8b --precision bf16 --batch 1 --seq 4096 --checkpointing full --gpu h100-80gb
  peakmem time gpt2 --gpu a100-80gb --json
)";

constexpr std::string_view kDiff = R"(
FILE is one of:
  run.pickle   a snapshot: torch.cuda.memory._record_memory_history() before the run, and
               torch.cuda.memory._dump_snapshot("run.pickle") after it (or the same as JSON); MODEL says what was run
  case.txt     a trace of the oracle, which says itself what was run (oracle/README.md)
  cases.jsonl  records of the oracle, of which --record N picks one

Examples:
  peakmem diff run.pickle llama-3.1-8b --precision bf16 --batch 1 --seq 4096 --checkpointing full
  peakmem diff oracle/records/one_gpu.jsonl --record 3
  peakmem diff case.txt --step 1 --phase forward
)";

constexpr std::string_view kExplain = R"(
MESSAGE is what PyTorch printed, of torch 1.13 or later; without it, or as -, it is read from standard input.

Examples:
  peakmem explain "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.77 GiB ..." gpt2
  python train.py 2>&1 | peakmem explain llama-3.2-1b --precision bf16 --batch 4
)";

constexpr std::string_view kEmit = R"(
FORMAT is one of hf (flags of a script), trl, axolotl, llamafactory (YAML), swift (flags), accelerate and
deepspeed (the ranks alone). What the format cannot be told is refused; what was written is read back, and the answer is about that.

Examples:
  peakmem emit trl llama-3.1-8b --precision bf16 --batch 1 --seq 4096 --lora-rank 16 --lora-targets all-linear
  peakmem emit axolotl qwen3-8b --batch 1 --seq 4096 --checkpointing full --gpu h100-80gb --save qwen.yaml
)";

std::string command_line(std::string_view synopsis, std::string_view help) {
  std::string line = "  " + std::string(synopsis);
  line.resize(std::max<size_t>(line.size() + 2, 62), ' ');
  return line + std::string(help) + "\n";
}

std::string commands_text() {
  std::string text = "\nCommands:\n";
  for (const CommandRow& row : command_rows()) text += command_line(row.synopsis, row.help);
  for (const PythonCommand& row : python_commands()) text += command_line(row.synopsis, row.help);
  return text;
}

}  // namespace

std::string help_text(const CommandRow& row) {
  std::string text = std::string(row.synopsis) + "\n  " + std::string(row.help) + "\n";
  if (row.command == Command::kEstimate)
    text = "peakmem: predicts the memory of training a Transformer\n" + commands_text();
  if (row.command == Command::kDiff) text += kDiff;
  if (row.command == Command::kExplain) text += kExplain;
  if (row.command == Command::kEmit) text += kEmit;
  if (row.command != Command::kTable && row.command != Command::kAccuracy) text += kModel;
  if (row.command == Command::kEstimate) text += kEstimateExamples;
  if (row.command == Command::kFormula) text += kFormulaExamples;
  if (row.command == Command::kSolve) text += kSolveExamples;
  if (row.command == Command::kAdvise) text += kAdviseExamples;
  if (row.command == Command::kTimeline) text += kTimelineExamples;
  if (row.command == Command::kCompare) text += kCompareExamples;
  if (row.command == Command::kSweep) text += kSweepExamples;
  if (row.command == Command::kPlan) text += kPlanExamples;
  if (row.command == Command::kTime) text += kTimeExamples;
  text += options_text(row.command);
  if (row.command == Command::kEstimate)
    text += "\nExit codes: 0 answered (and it fits, if asked), 1 does not fit, 2 bad usage or bad input.\n";
  return text;
}

}  // namespace peakmem::cli
