#include "plan/sought.h"

#include <algorithm>
#include <array>

#include "request/gpu_choice.h"
#include "request/recorded.h"
#include "request/unknowns.h"
#include "size/wording.h"

namespace peakmem {
namespace {

constexpr int64_t kMostRanks = 4096;
constexpr int64_t kFirstTries = 64;  // multiples of a step among which the smallest is looked for
constexpr int64_t kTriedSteps = 32;  // multiples that must be jobs, for those that are none may lie in stretches
constexpr int64_t kUsualRank = 16;   // of LoRA

void put(OptionValues& values, std::string_view name, const std::string& text) {
  drop_option(values, name);
  values.push_back({std::string(name), text});
}

/// A function of a value that makes a request, as one that makes a job.
std::function<std::optional<Job>(int64_t)> jobs_of(const std::function<Result<Request>(int64_t)>& requests) {
  return [requests](int64_t value) {
    Result<Request> request = requests(value);
    return request ? std::optional(std::move(request->job)) : std::nullopt;
  };
}

/// One of a recording's letters, which its replay may be pinned to; or a size that is a letter of every trace.
Result<Unknown> letter_of(Request& request, const Options& asked, const std::string& name) {
  Job& job = request.job;
  if (!job.recording) return find_unknown(name, job.description.task == Task::kSeq2SeqLm && !asked.has("target-seq"));
  const int32_t letter = find_letter(*job.recording, name);
  if (letter < 0) return Error{"--for", in_quotes(name) + " is no letter of this trace", {}};
  job.sought = static_cast<size_t>(letter);
  std::vector<int64_t> others = job.letters;
  ++others[job.sought];
  if (job.recording->letters[job.sought].fixed) return *check_values(*job.recording, others);
  if (!can_be_replayed(*job.recording, others)) request.allocator.reset();
  return Unknown::kLetter;
}

Result<Sought> of_letter(const NamedConfig* model, OptionValues values, const std::string& name) {
  values.push_back({"for", name});
  Result<Request> request = make_request(model, values, Command::kSolve);
  if (!request) return request.error();
  const Result<Unknown> unknown = letter_of(*request, Options(values), name);
  if (!unknown) return unknown.error();
  Sought sought;
  sought.variants = variants_of(request->job, *unknown);
  sought.at = [request = *request, unknown = *unknown](int64_t value) -> Result<Request> {
    Request changed = request;
    set_size(changed.job, unknown, value);
    return changed;
  };
  sought.request = std::move(*request);
  return sought;
}

/// Steps that sizes of models come in: powers of two, and multiples of the heads.
std::vector<int64_t> steps_of(const Description& d) {
  std::vector<int64_t> steps = {1, 2, 4, 8, 16, 32, 64, 128};
  for (int64_t times = 1; times <= 16; times *= 2)
    for (const int64_t heads : {d.heads, d.kv_heads}) steps.push_back(times * std::max<int64_t>(heads, 1));
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  return steps;
}

/// Multiples of the smallest step of which those around `own` are jobs.
std::optional<Grid> multiples(const Sought& sought, int64_t own) {
  const auto is_job = [&](int64_t value) { return static_cast<bool>(sought.at(value)); };
  for (const int64_t step : steps_of(sought.request.job.description)) {
    const int64_t near = std::max<int64_t>(1, own / step);
    bool all = is_job((2 * near + 1) * step);
    for (int64_t times = near; all && times < near + kTriedSteps; ++times) all = is_job(times * step);
    if (!all) continue;
    int64_t first = 1;
    while (first < std::min(near, kFirstTries) && !is_job(first * step)) ++first;
    return Grid{first * step, step, kSearchLimit / step - first, {}};
  }
  return std::nullopt;
}

/// Divisors of `whole` that are jobs.
std::vector<int64_t> divisors(int64_t whole, const std::function<Result<Request>(int64_t)>& at) {
  std::vector<int64_t> found;
  for (int64_t value = 1; value <= whole; ++value)
    if (whole % value == 0 && at(value)) found.push_back(value);
  return found;
}

void set_grid(Sought& sought, Grid grid) {
  sought.variants.limit = grid.last_number();
  sought.variants.limit_text = grid.values.empty() ? "the search itself" : "what the other sizes leave";
  sought.variants.grid = std::move(grid);
}

Result<Sought> of_option(const NamedConfig* model, const OptionValues& values, const OptionUnknown& row) {
  Sought sought;
  const std::string name(row.name);
  sought.at = [model, values, name](int64_t value) {
    OptionValues changed = values;
    put(changed, name, std::to_string(value));
    return make_request(model, changed, Command::kSolve);
  };
  Result<Request> base = row.own != nullptr ? make_request(model, values, Command::kSolve) : sought.at(kUsualRank);
  if (!base) return base.error();
  sought.request = std::move(*base);
  if (sought.request.job.recording) return Error{"--for", name + " is no letter of this trace", {}};
  const Description& d = sought.request.job.description;
  const int64_t own = row.own != nullptr ? d.*row.own : kUsualRank;
  sought.variants.name = name;
  sought.variants.at = jobs_of(sought.at);
  if (row.name == "heads" && d.head_dim_is_quotient) {
    set_grid(sought, {1, 1, 0, divisors(d.hidden, sought.at)});
  } else if (const std::optional<Grid> grid = multiples(sought, own)) {
    set_grid(sought, *grid);
  } else {
    const Result<Request> why = sought.at(own + 1);
    return why ? Error{"--for", name + " has no values that this model allows in steps", {}} : why.error();
  }
  return sought;
}

/// Micro-batches that a batch is cut in.
Result<Sought> of_accumulate(const NamedConfig* model, const OptionValues& values) {
  Sought sought;
  Result<Request> base = make_request(model, values, Command::kSolve);
  if (!base) return base.error();
  sought.request = std::move(*base);
  if (sought.request.job.recording) return Error{"--for", "accumulate is no letter of this trace", {}};
  const int64_t batch = sought.request.job.recipe.batch;
  sought.at = [model, values, batch](int64_t value) {
    OptionValues changed = values;
    put(changed, "batch", std::to_string(batch / value));
    put(changed, "accumulate", std::to_string(value));
    return make_request(model, changed, Command::kSolve);
  };
  sought.variants.name = "accumulate";
  sought.variants.at = jobs_of(sought.at);
  sought.variants.smallest = true;
  set_grid(sought, {1, 1, 0, divisors(batch, sought.at)});
  sought.request.assumptions.push_back("accumulate: the batch of " + std::to_string(batch) +
                                       " is cut in so many micro-batches");
  return sought;
}

/// Stages of ZeRO over as many ranks as are asked for.
Result<Sought> of_zero(const NamedConfig* model, const OptionValues& values) {
  Sought sought;
  sought.at = [model, values](int64_t value) {
    OptionValues changed = values;
    put(changed, "zero", std::to_string(value));
    return make_request(model, changed, Command::kSolve);
  };
  Grid grid;
  for (const std::string_view stage : find_option("zero")->choices()) grid.values.push_back(stage.front() - '0');
  Result<Request> base = sought.at(grid.values.front());
  if (!base) return base.error();
  sought.request = std::move(*base);
  sought.variants.name = "zero";
  sought.variants.at = jobs_of(sought.at);
  sought.variants.smallest = true;
  set_grid(sought, std::move(grid));
  return sought;
}

/// Ranks of FSDP2 or of ZeRO, a card for each; one of them is a run without FSDP2 where cards are counted.
Result<Sought> of_ranks(const NamedConfig* model, OptionValues values, const std::string& name) {
  for (const char* other : {"ddp", "hsdp", "fsdp"})
    if (Options(values).has(other))
      return Error{"--" + std::string(other), "says how many ranks there are, which is asked for", "drop it"};
  Sought sought;
  int64_t most = kMostRanks;
  if (const std::string* gpu = Options(values).text("gpu")) {
    const Result<GpuChoice> choice = parse_gpu(*gpu);
    if (!choice) return choice.error();
    if (choice->count > 1) most = choice->count;
    put(values, "gpu", std::string(choice->gpu->name));
  }
  const std::string option = name == "ranks" ? "ranks" : "fsdp";
  sought.at = [model, values, option, counts = name == "gpus"](int64_t value) {
    OptionValues changed = values;
    if (!counts || value > 1) put(changed, option, std::to_string(value));
    return make_request(model, changed, Command::kSolve);
  };
  Result<Request> base = sought.at(2);
  if (!base) return base.error();
  sought.request = std::move(*base);
  if (name == "gpus") sought.request.assumptions.emplace_back("gpus: as many ranks of --fsdp; 1 is without it");
  sought.variants.name = name;
  sought.variants.at = jobs_of(sought.at);
  sought.variants.smallest = true;
  set_grid(sought, {1, 1, most, {}});
  return sought;
}

}  // namespace

Result<Sought> read_sought(const NamedConfig* model, const OptionValues& values, const std::string& name) {
  const bool recorded = model != nullptr && model->recording;
  if (!recorded && name == "accumulate") return of_accumulate(model, values);
  if (!recorded && name == "zero") return of_zero(model, values);
  if (!recorded && (name == "fsdp" || name == "gpus" || name == "ranks")) return of_ranks(model, values, name);
  for (const OptionUnknown& row : kOptionUnknowns)
    if (!recorded && row.name == name) return of_option(model, values, row);
  return of_letter(model, values, name);
}

Result<Solution> solve_for(const Sought& sought, Effort effort) {
  const Request& request = sought.request;
  Result<Solution> solution = solve(sought.variants, *request.gpu, request.allocator, request.headroom_bytes, effort);
  if (!solution || solution->smallest || solution->next > 0 || solution->value == 0) return solution;
  const Grid& grid = sought.variants.grid;
  const int64_t step = grid.values.empty() ? grid.step : 0;
  const Result<Request> next = sought.at(solution->value + step);
  if (step > 0 && !next) solution->limit = next.error().field + " " + next.error().problem;
  return solution;
}

}  // namespace peakmem
