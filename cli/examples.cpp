#include "examples.h"

#include <array>

namespace peakmem::cli {
namespace {

struct Example {
  Command command;
  Entry entry;
};

constexpr auto kExamples = std::to_array<Example>({
    {Command::kEstimate, {"peakmem gpt2", "what does training GPT-2 take, and where does it go?"}},
    {Command::kEstimate,
     {"peakmem llama-3.1-8b --precision bf16 --batch 1 --seq 4096 --gpu h100-80gb",
      "does it fit? (exit code 0: yes, 1: no)"}},
    {Command::kEstimate,
     {"peakmem config.json --precision bf16-mixed --checkpointing full --clip-grad", "a model of your own"}},
    {Command::kEstimate,
     {"peakmem --layers 24 --heads 16 --hidden 1024 --seq 2048 --batch 4", "one that is only sizes yet"}},
    {Command::kEstimate, {"peakmem gpt2-xl --json", "the same for programs"}},
    {Command::kEstimate, {"peakmem solve gpt2-xl --for batch --gpu a100-80gb", "the largest batch that fits"}},
    {Command::kEstimate, {"peakmem formula gpt2 --simplify 5%", "the formula"}},
    {Command::kFormula, {"peakmem formula gpt2", "the peak, by term and exact"}},
    {Command::kFormula, {"peakmem formula gpt2 --simplify 5%", "without the terms that matter least"}},
    {Command::kFormula,
     {"peakmem formula --layers l --heads h --hidden d --seq t --simplify 5%", "in letters of your own"}},
    {Command::kFormula, {"peakmem formula llama-3.1-8b --latex --letters T=s,B=b,C=h", {}}},
    {Command::kFormula, {"peakmem formula gpt2 --textbook", "against the formulas in circulation"}},
    {Command::kSolve, {"peakmem solve gpt2-xl --for batch --gpu a100-80gb", {}}},
    {Command::kSolve,
     {"peakmem solve llama-3.1-8b --for seq --gpu h100-80gb --batch 1 --precision bf16 --checkpointing full", {}}},
    {Command::kSolve,
     {"peakmem solve gpt2-xl --for batch --gpu a100-80gb --headroom 10%", "which leaves a tenth of the card free"}},
    {Command::kSolve, {"peakmem solve gpt2-xl --for gpu", "every card, and the largest batch on it"}},
    {Command::kSolve,
     {"peakmem solve llama-3.1-8b --for gpus --gpu a100-80gb --batch 1", "how many cards, sharded by FSDP2"}},
    {Command::kSolve,
     {"peakmem solve llama-3.1-8b --for lora-rank --lora-targets all-linear --gpu a100-80gb --precision bf16 --batch 1",
      {}}},
    {Command::kSolve,
     {"peakmem solve gpt2-xl --for batch,seq --gpu a100-80gb --csv fits.csv", "two at once: what fits with what"}},
    {Command::kAdvise, {"peakmem advise llama-3.1-8b --gpu rtx-4090 --seq 2048", {}}},
    {Command::kAdvise, {"peakmem advise qwen2.5-7b --gpu t4 --json", {}}},
    {Command::kTimeline, {"peakmem timeline gpt2", {}}},
    {Command::kTimeline,
     {"peakmem timeline llama-3.1-8b --precision bf16 --batch 1 --seq 4096 --svg step.svg --perfetto step.json", {}}},
    {Command::kCompare, {"peakmem compare gpt2-xl --with \"--precision bf16 --checkpointing full\"", {}}},
    {Command::kCompare, {"peakmem compare llama-3.1-8b --precision bf16 --batch 1 --with \"qwen3-8b\"", {}}},
    {Command::kSweep, {"peakmem sweep gpt2 --over batch --values 1,2,4,8,16 --gpu rtx-4090", {}}},
    {Command::kSweep, {"peakmem sweep llama-3.2-1b --over layers --values 8,16,32,48 --precision bf16", {}}},
    {Command::kSweep, {"peakmem sweep gpt2 --over optimizer --values all --gpu t4", {}}},
    {Command::kSweep, {"peakmem sweep gpt2 --over batch,gpu --values \"2^0..2^6;t4,l4,a100-40gb\" --csv grid.csv", {}}},
    {Command::kPlan, {"peakmem plan llama-3.1-8b --gpus 8xh100-80gb --global-batch 256 --seq 8192", {}}},
    {Command::kPlan,
     {"peakmem plan qwen2.5-1.5b --gpus 1xrtx-4090 --global-batch 16 --seq 2048 --allow lora --top 5", {}}},
    {Command::kPlan, {"peakmem plan gpt2-xl --gpus 2xa100-40gb --global-batch 16 --why 6", {}}},
    {Command::kPlan, {"peakmem plan gpt2-xl --gpus 2xa100-40gb --global-batch 16 --emit accelerate 6", {}}},
    {Command::kTime,
     {"peakmem time llama-3.1-8b --precision bf16 --batch 1 --seq 4096 --checkpointing full --gpu h100-80gb", {}}},
    {Command::kTime, {"peakmem time gpt2 --gpu a100-80gb --json", {}}},
    {Command::kDiff,
     {"peakmem diff run.pickle llama-3.1-8b --precision bf16 --batch 1 --seq 4096 --checkpointing full", {}}},
    {Command::kDiff, {"peakmem diff oracle/records/one_gpu.jsonl --record 3", {}}},
    {Command::kDiff, {"peakmem diff case.txt --step 1 --phase forward", {}}},
    {Command::kExplain, {"peakmem explain \"CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...\" gpt2", {}}},
    {Command::kExplain, {"python train.py 2>&1 | peakmem explain llama-3.2-1b --precision bf16 --batch 4", {}}},
    {Command::kTrace, {"peakmem trace gpt2 --save gpt2.peakmem", {}}},
    {Command::kEmit,
     {"peakmem emit trl llama-3.1-8b --precision bf16 --batch 1 --seq 4096 --lora-rank 16 --lora-targets all-linear",
      {}}},
    {Command::kEmit,
     {"peakmem emit axolotl qwen3-8b --batch 1 --seq 4096 --checkpointing full --gpu h100-80gb --save qwen.yaml", {}}},
    {Command::kTable, {"peakmem models llama", "those with that word in their name"}},
    {Command::kTable, {"peakmem gpus h100 --sources", "and where each number comes from"}},
    {Command::kAccuracy, {"peakmem accuracy oracle/records/one_gpu.jsonl", {}}},
});

constexpr auto kModels = std::to_array<Entry>({
    {"gpt2-xl, llama-3.1-8b, ...", "a config that comes with peakmem (peakmem models lists them)"},
    {"path/to/config.json", "a Hugging Face config, or the folder it is in"},
    {"-", "a config on standard input (and for a FILE that is written, standard output)"},
    {"meta-llama/Llama-3.1-8B",
     "an id of the Hugging Face hub: one that comes with peakmem, or was downloaded ($HF_HOME)"},
    {"launch.yaml, \"torchrun ...\"",
     "launch files and command lines, with or without a model beside: TrainingArguments, TRL, accelerate "
     "(docs/launch.md)"},
    {"config.json --via torch", "any model that PyTorch runs, traced there (Python with torch; docs/trace.md)"},
    {"train.py:make", "the same of a function of yours that makes the model"},
    {"step.peakmem", "a trace that was saved (docs/trace-format.md)"},
    {"none", "with --layers, --heads and --hidden instead"},
});

constexpr auto kFiles = std::to_array<Entry>({
    {"run.pickle",
     "a snapshot: torch.cuda.memory._record_memory_history() before the run, and "
     "torch.cuda.memory._dump_snapshot(\"run.pickle\") after it (or the same as JSON); MODEL says what was run"},
    {"case.txt", "a trace of the oracle, which says itself what was run (oracle/README.md)"},
    {"cases.jsonl", "records of the oracle, of which --record N picks one"},
});

constexpr auto kMostUsed = std::to_array<std::string_view>(
    {"batch", "seq", "precision", "optimizer", "attention", "checkpointing", "accumulate", "trainer", "lora-rank",
     "lora-targets", "quantize", "fsdp", "zero", "ranks", "gpu", "layers", "heads", "hidden", "json"});

}  // namespace

std::vector<Entry> examples_of(Command command) {
  std::vector<Entry> entries;
  for (const Example& example : kExamples)
    if (example.command == command) entries.push_back(example.entry);
  return entries;
}

std::span<const Entry> model_forms() { return kModels; }
std::span<const Entry> file_forms() { return kFiles; }

std::string_view note_of(Command command) {
  if (command == Command::kExplain)
    return "MESSAGE is what PyTorch printed, of torch 1.13 or later; without it, or as -, it is read from standard "
           "input.";
  if (command == Command::kEmit)
    return "FORMAT is one of hf (flags of a script), trl, axolotl, llamafactory (YAML), swift (flags), accelerate and "
           "deepspeed (the ranks alone). What the format cannot be told is refused; what was written is read back, and "
           "the answer is about that.";
  return {};
}

std::span<const std::string_view> most_used() { return kMostUsed; }

}  // namespace peakmem::cli
