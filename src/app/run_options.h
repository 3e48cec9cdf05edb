// Options of runs over many lines: where the answers go, which lines are asked, when to stop.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace aira {

struct CommonOptions;
struct AskOptions;
struct FoundModel;
class ModelFiles;

/// What must be the same for two runs to belong together: options as they were written, "--seed"
/// (drawn or not), "top_k =" (the config file's), "-m" (the model's name), "model_digest",
/// "--shard", and "aira-cli" (the command).
using RunIdentity = std::map<std::string, std::string>;

struct RunOptions {
  std::optional<std::string> output;  // -o; nothing: stdout
  bool resume = false;
  bool retry_failed = false;
  std::int64_t shard = 1;  // of `shards`
  std::int64_t shards = 1;
  std::optional<std::int64_t> max_errors;
  std::optional<std::string> csv;  // the column of the questions
  bool json_progress = false;
  RunIdentity identity;  // with -o: the options that were given and matter for the answers
};

/// Reads "2/3"; false for anything else.
bool read_shard(const std::string& text, RunOptions& run);

/// -o and what goes with it; `command` is part of the identity. To be called once.
void add_run_options(CLI::App& app, CommonOptions& options, const char* command);
/// --csv
void add_csv(CLI::App& app, CommonOptions& options);
/// Throws UsageError for options of runs that make no sense as they are; `lines`: there are lines
/// to run over.
void check_run(const CommonOptions& options, bool lines);
/// With --resume the seed of the run that is to go on, unless one was asked for.
void use_former_seed(AskOptions& options);

/// The same wherever the model lies: times and paths do not count, and of large files samples do.
std::string model_digest(const ModelFiles& files);
/// The whole identity of a run with that model.
RunIdentity identity_of(const CommonOptions& options, const FoundModel& model);
/// Throws an Error that names the first difference: `file` holds what a run `former` wrote.
void require_same(const RunIdentity& former, const RunIdentity& now, const std::string& file);

}  // namespace aira
