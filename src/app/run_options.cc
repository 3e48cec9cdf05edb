#include "app/run_options.h"

#include <CLI/CLI.hpp>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "app/ask.h"
#include "app/config_file.h"
#include "app/model_lookup.h"
#include "app/run_file.h"
#include "base/digest.h"
#include "base/printable.h"
#include "model/adapter.h"
#include "model/checkpoint.h"

namespace aira {
namespace {

constexpr std::int64_t kMostShards = 1'000'000;

/// Options that change no answer, or are part of an identity in another way.
const std::set<std::string> kOther = {
    "--model",  "--adapter",          "--device", "--threads",      "--file",      "--batch",
    "--output", "--resume",           "--shard",  "--max-errors",   "--progress",  "--stats",
    "--quiet",  "--carbon-intensity", "--log",    "--retry-failed", "--no-stream", "--help"};

/// The options on the command line that matter for the answers.
RunIdentity given_options(const CLI::App& app) {
  RunIdentity given;
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0 || option->get_lnames().empty()) continue;
    const std::string name = "--" + option->get_lnames().front();
    if (kOther.contains(name)) continue;
    std::string& value = given[name];
    if (option->get_type_size() == 0) continue;  // a switch
    for (const std::string& word : option->results()) value += (value.empty() ? "" : " ") + word;
  }
  return given;
}

/// "--temperature 0.7" or "--raw".
std::string spelled(const std::string& name, const std::string& value) {
  return printable(value.empty() ? name : name + " " + value, 200);
}

}  // namespace

std::string model_digest(const ModelFiles& files) {
  std::string all;
  const auto add = [&](const std::string& name) {
    if (const auto file = files.find(name)) all += name + " " + hex(sampled_digest(*file)) + "\n";
  };
  for (const char* name :
       {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
        "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
        "chat_template.jinja", kAdapterConfig, "adapter_model.safetensors", "adapter_model.bin"}) {
    add(name);
  }
  if (files.find("config.json")) {
    for (const std::string& name : Checkpoint::file_names(files)) add(name);
  }
  if (files.adapter() != nullptr) all += model_digest(*files.adapter());
  return hex(digest(all));
}

bool read_shard(const std::string& text, RunOptions& run) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  return slash < text.size() && read_word(text.substr(0, slash), run.shard) &&
         read_word(text.substr(slash + 1), run.shards) && run.shard >= 1 &&
         run.shard <= run.shards && run.shards <= kMostShards;
}

void add_run_options(CLI::App& app, CommonOptions& options, const char* command) {
  RunOptions& run = options.run;
  app.option_defaults()->group(message("Long runs"));
  app.add_option_function<std::string>(
         "-o,--output",
         [&run, &app, command](const std::string& name) {
           run.output = name;
           run.identity = given_options(app);
           run.identity["aira-cli"] = command;
         },
         message("Write to FILE, which --resume can go on with"))
      ->option_text("FILE");
  app.add_flag("--resume", run.resume, message("Go on with the FILE of a run that was stopped"));
  app.add_flag("--retry-failed", run.retry_failed,
               message("With --resume: ask failed lines again"));
  add_value(app, "--shard", "I/N", message("Every Nth line from line I on"),
            message("a part and the number of parts, as 1/3"),
            [&run](const std::string& text) { return read_shard(text, run); });
  add_value(app, "--max-errors", "N", message("Stop after more than N failed lines"),
            message("a whole number of at least 0"), [&run](const std::string& text) {
              std::int64_t most = 0;
              if (!read_word(text, most) || most < 0) return false;
              run.max_errors = most;
              return true;
            });
  add_value(app, "--progress", "HOW", message("auto, or json for programs, on stderr"),
            message("auto or json"),
            [&run](const std::string& text) {
              run.json_progress = text == "json";
              return run.json_progress || text == "auto";
            })
      ->type_name("auto|json");
}

void add_csv(CLI::App& app, CommonOptions& options) {
  add_text(app, "--csv", options.run.csv, "COLUMN",
           message("CSV in and out, with the questions in COLUMN"));
}

void check_run(const CommonOptions& options, bool lines) {
  const RunOptions& run = options.run;
  const bool any = run.output || run.resume || run.retry_failed || run.shards > 1 ||
                   run.max_errors || run.csv || run.json_progress;
  if (any && !lines) {
    throw UsageError(
        "[E150] --output, --resume, --shard, --max-errors, --progress and --csv are for many "
        "lines: they come from -f FILE, or from stdin when it is no terminal.");
  }
  if (run.output && (run.output->empty() || *run.output == "-")) {
    throw UsageError("[E151] --output needs the name of a file; without it answers go to stdout.");
  }
  if (run.resume && !run.output) {
    throw UsageError("[E152] --resume goes on with a file; name it with --output.");
  }
  if (run.retry_failed && !run.resume) {
    throw UsageError("[E153] --retry-failed asks lines of a former run again; it needs --resume.");
  }
  if (run.csv && options.json) {
    throw UsageError("[E154] --csv and --jsonl are two forms of input; use one of them.");
  }
}

void use_former_seed(AskOptions& options) {
  const RunOptions& run = options.run;
  if (!run.output) return;
  if (run.resume && !run.identity.contains("--seed")) {
    if (const auto former = former_identity(*run.output); former && former->contains("--seed")) {
      options.request.set_words(request_option("seed"), std::array{former->at("--seed")});
    }
  }
  options.run.identity["--seed"] = std::to_string(options.request.tentative().seed);
}

RunIdentity identity_of(const CommonOptions& options, const FoundModel& model) {
  RunIdentity identity = options.run.identity;
  identity["-m"] = model.name;
  identity["model_digest"] = model_digest(model.files);
  for (const RequestOption& row : request_options()) {
    if (!config().request.has(row) || row.flag() == "--seed" || identity.contains(row.flag())) {
      continue;
    }
    identity[std::string(row.name) + " ="] = row.value(config().request.laid_over({})).dump();
  }
  if (options.run.shards > 1) {
    identity["--shard"] =
        std::to_string(options.run.shard) + "/" + std::to_string(options.run.shards);
  }
  return identity;
}

void require_same(const RunIdentity& former, const RunIdentity& now, const std::string& file) {
  const std::string name = quote(file, 4096);
  for (const auto& [option, value] : former) {
    const auto other = now.find(option);
    if (other == now.end()) {
      throw Error(
          "[E155] {} was begun with {}, which is missing now; give the same options, or write to "
          "another file.",
          {name, spelled(option, value)});
    }
    if (other->second == value) continue;
    if (option == "model_digest") {
      throw Error(
          "[E156] The model {} is not what it was when {} was begun; write to another file.",
          {printable(now.at("-m")), name});
    }
    throw Error(
        "[E157] {} was begun with {}, not with {}; give the same options, or write to "
        "another file.",
        {name, spelled(option, value), spelled(option, other->second)});
  }
  for (const auto& [option, value] : now) {
    if (former.contains(option)) continue;
    throw Error("[E158] {} was begun without {}; give the same options, or write to another file.",
                {name, spelled(option, value)});
  }
}

}  // namespace aira
