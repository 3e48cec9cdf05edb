// pull: a model of the Hugging Face hub into the local cache, where -m finds it.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/config_file.h"
#include "app/hub.h"
#include "app/interrupt.h"
#include "app/model_lookup.h"
#include "app/output.h"
#include "app/status_line.h"
#include "base/printable.h"
#include "hub/pull.h"
#include "run/task.h"

namespace aira {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr double kInterval = 0.25;  // seconds between two updates of the bar
constexpr int kBarWidth = 20;       // letters

struct PullOptions : CommonOptions {
  bool dry_run = false;
  bool check = false;
};

/// How far it is: a bar on a terminal, else a line for each file.
class PullDisplay {
 public:
  explicit PullDisplay(bool quiet) : quiet_(quiet), bar_(!quiet && ::isatty(STDERR_FILENO) == 1) {}

  void say(const std::string& sentence) {
    line_.clear();
    if (!quiet_) note(sentence);
  }
  /// While the size is not known.
  void ask(const std::string& host) {
    if (bar_) line_.show(message("asking {}", {printable(host)}));
  }
  void start(std::int64_t total, std::int64_t here) {
    total_ = total;
    first_ = here_ = here;
    started_ = Clock::now();
  }
  /// The bar never goes back: what a server sends again was shown.
  void got(std::int64_t here) {
    here_ = std::max(here_, here);
    update();
  }
  void fetched(const RemoteFile& file) {
    if (bar_ || quiet_) return;
    say(message("fetched {} ({})", {printable(file.name), size_text(file.size)}));
  }
  void update() {
    if (!bar_ || total_ == 0 || seconds_since(shown_) < kInterval) return;
    shown_ = Clock::now();
    const double fraction = static_cast<double>(here_) / static_cast<double>(total_);
    const double rate = static_cast<double>(here_ - first_) / seconds_since(started_);
    const auto full = static_cast<std::size_t>(fraction * kBarWidth);
    const std::string bar = std::string(full, '#') + std::string(kBarWidth - full, '.');
    const std::string done = size_text(here_), total = size_text(total_);
    const std::string percent = format("%.0f", 100 * fraction);
    line_.show(rate < 1
                   ? message("[{}] {} of {}, {} %", {bar, done, total, percent})
                   : message("[{}] {} of {}, {} %, {}/s, {} left",
                             {bar, done, total, percent, size_text(static_cast<std::int64_t>(rate)),
                              clock_time(static_cast<double>(total_ - here_) / rate)}));
  }
  void clear() { line_.clear(); }
  std::string elapsed() const { return clock_time(seconds_since(started_)); }

 private:
  using Clock = std::chrono::steady_clock;

  bool quiet_;
  bool bar_;
  StatusLine line_;
  std::int64_t total_ = 0;
  std::int64_t first_ = 0;
  std::int64_t here_ = 0;
  Clock::time_point started_ = Clock::now();
  Clock::time_point shown_ = {};
};

HubModel asked_model(const std::string& asked) {
  std::optional<HubModel> model = hub_model(asked);
  if (!model) {
    throw Error("[E660] {} is no name of a model on the hub; give ORG/NAME or its address.",
                {quote(asked, 4096)});
  }
  const std::string& revision = model->revision;  // which becomes the name of a file
  if (revision.starts_with('/') || revision.ends_with('/') ||
      ("/" + revision + "/").find("/.") != std::string::npos ||
      revision.find("//") != std::string::npos || revision.find("..") != std::string::npos ||
      std::any_of(revision.begin(), revision.end(), [](char c) { return c >= 0 && c <= ' '; })) {
    throw Error("[E661] No revision has the name {}; give a branch, a tag or a commit.",
                {quote(revision, 200)});
  }
  return *std::move(model);
}

/// The folder of the model in the cache, if that can be used as it is.
std::optional<std::string> whole_in_cache(const HubModel& model) {
  const std::optional<fs::path> snapshot = model.snapshot();
  if (!snapshot || problem_in([&] { require_whole(ModelFiles::from_folder(snapshot->string())); }))
    return std::nullopt;
  return snapshot->string();
}

ordered_json description(const Pull& pull, const HubModel& model, const fs::path& folder) {
  ordered_json files = ordered_json::array();
  for (const Pull::File& file : pull.files()) {
    files.push_back({{"name", file.remote.name},
                     {"size", file.remote.size},
                     {"hash", file.remote.hash()},
                     {"missing", file.remote.size - file.here}});
  }
  ordered_json all = {{"model", model.id},       {"revision", model.revision},
                      {"commit", pull.commit()}, {"folder", folder.string()},
                      {"bytes", pull.bytes()},   {"missing", pull.missing()}};
  if (pull.base()) all["base_model"] = *pull.base();
  all["files"] = files;
  return all;
}

/// What a dry run prints: a line for each file, and the sum.
std::string table_of(const Pull& pull) {
  std::string table;
  const auto row = [&](std::int64_t size, const std::string& name, std::int64_t missing) {
    const std::string state = missing == 0      ? message("here")
                              : missing == size ? message("to fetch")
                                                : message("{} to fetch", {size_text(missing)});
    table += format("%10s  ", size_text(size).c_str()) + name + "  (" + state + ")\n";
  };
  for (const Pull::File& file : pull.files()) {
    row(file.remote.size, printable(file.remote.name), file.remote.size - file.here);
  }
  row(pull.bytes(), message("in all"), pull.missing());
  return table;
}

/// What to do with the model now.
void advise(const Pull& pull, const HubModel& model, PullDisplay& display) {
  if (pull.base()) {
    display.say(message("this is an adapter; its base model is {}.",
                        {quote(pull.base()->empty() ? "?" : *pull.base())}));
  } else if (model.name() == kDefaultModel && !environment("AIRA_MODEL") && !config().model &&
             !config().adapter) {
    display.say(message("questions go to this model from now on."));
  } else {
    display.say(message("-m {} chooses it.", {printable(model.name())}));
  }
}

int fetch(const PullOptions& options, const HubModel& model, const HubSettings& settings,
          PullDisplay& display) {
  const std::optional<fs::path> folder = model.folder();
  if (!folder) {
    throw Error("[E662] There is no home for a Hugging Face cache; HF_HUB_CACHE names a folder.");
  }
  const PullListener listener = {
      .go_on = [&] { return display.update(), !interrupted(); },
      .notice = [&](const std::string& sentence) { display.say(sentence); },
      .got = [&](std::int64_t bytes) { display.got(bytes); },
      .fetched = [&](const RemoteFile& file) { display.fetched(file); }};
  Http http(settings, listener.go_on, listener.notice);
  Pull pull(http, model.id, model.revision, HubCache(*folder, settings.symlinks), listener);
  display.ask(settings.endpoint);
  try {
    pull.plan(options.check);
  } catch (const NoAnswer& problem) {
    const auto usable = options.dry_run ? std::nullopt : whole_in_cache(model);
    if (!usable) throw;
    display.say(
        message("{} The model in the cache is complete and can be used.", {problem.what()}));
    print(*usable + "\n");
    return kDone;
  }
  display.clear();
  const std::string snapshot = HubCache(*folder, true).snapshot(pull.commit()).string();
  const ordered_json facts = description(pull, model, snapshot);
  if (options.dry_run) {
    options.json ? print_json(facts) : print(table_of(pull));
    return kDone;
  }
  const std::int64_t missing = pull.missing();
  const bool complete = std::all_of(pull.files().begin(), pull.files().end(),
                                    [](const Pull::File& file) { return file.whole; });
  display.start(pull.bytes(), pull.bytes() - missing);
  pull.run();
  const std::string files = std::to_string(pull.files().size());
  const std::string size = size_text(pull.bytes());
  const std::string name = printable(model.name());
  display.say(complete ? message("{} was in the cache already: {} files, {}.", {name, files, size})
                       : message("{} is in the cache: {} files, {}; {} fetched in {}.",
                                 {name, files, size, size_text(missing), display.elapsed()}));
  advise(pull, model, display);
  options.json ? print_json(facts) : print(snapshot + "\n");
  return kDone;
}

int run_pull(const PullOptions& options) {
  const HubModel model = asked_model(options.model.value_or(kDefaultModel));
  const HubSettings settings = hub_settings();
  PullDisplay display(options.quiet);
  if (!settings.offline.empty()) {
    const auto usable = whole_in_cache(model);
    if (!usable) {
      throw Error("[E663] {} forbids the network, and the model {} is not whole in the cache.",
                  {settings.offline, quote(model.name())});
    }
    display.say(
        message("{} forbids the network; the model in the cache is complete and can be used.",
                {settings.offline}));
    print(*usable + "\n");
    return kDone;
  }
  catch_interrupts();
  try {
    return fetch(options, model, settings, display);
  } catch (const Stopped&) {
    display.say(
        message("stopped; what was fetched is kept, and the same command goes on from there."));
    return kInterrupted;
  }
}

}  // namespace

Action set_up_pull(CLI::App& app) {
  const auto options = std::make_shared<PullOptions>();
  app.description(
      message("aira-cli pull [options] [MODEL]   Fetch a model from the Hugging Face hub"));
  app.footer(message(R"(MODEL is ORG/NAME, ORG/NAME@REVISION or an address on the hub; without it,
nicholasKluge/Aira-2-portuguese-124M. Only the files that are needed for answers
are fetched, into the cache that huggingface_hub uses; the folder is printed.
Its variables work here, too: HF_HUB_CACHE and HF_HOME (where the cache is),
HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE and others.)") +
             "\n\n" + message("Examples:") + R"(
  aira-cli pull
  aira-cli pull --dry-run gpt2
  aira-cli pull gpt2-large@main)");
  app.option_defaults()->group(message("Output"));
  app.add_option("MODEL", options->model);
  app.add_flag("--dry-run", options->dry_run, message("Only show what would be fetched"));
  app.add_flag("--check", options->check,
               message("Compare what is there with the hub's hashes, too"));
  app.add_flag("--json", options->json, message("Print one JSON object"));
  add_quiet(app, *options);
  return [options] { return run_pull(*options); };
}

}  // namespace aira
