// rm: takes models out of the Hugging Face cache, with their packed weights.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <vector>

#include "app/cached_models.h"
#include "app/command_line.h"
#include "app/hub.h"
#include "app/output.h"
#include "app/table.h"
#include "base/printable.h"
#include "hub/removal.h"
#include "model/packed_folder.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

struct RmOptions {
  std::vector<std::string> models;
  bool packed = false;  // packed weights only
  bool yes = false;
  bool dry_run = false;
};

/// All that is to go.
struct Plan {
  std::vector<std::pair<CachedRepository, Removal>> removals;
  std::vector<PackedFile> packed;
  Table table{{message("model"), message("what"), message("size")}, {2}};
  std::int64_t bytes = 0;

  void add(const PackedFile& file);
};

void Plan::add(const PackedFile& file) {
  const auto same = [&](const PackedFile& one) { return one.path == file.path; };
  if (std::any_of(packed.begin(), packed.end(), same)) return;
  const std::string name = name_of(file);
  packed.push_back(file);
  bytes += file.bytes;
  table.add({printable(name.empty() ? file.path.filename().string() : name),
             message("packed weights {}", {file.source.dtype}), size_text(file.bytes)});
}

/// The revisions of `repository` that `revision` means: a branch, a tag, or a commit's first
/// letters. Throws Error when it is none, or several.
std::vector<std::string> commits_of(const CachedRepository& repository, const HubModel& model) {
  constexpr std::size_t kShortest = 4;
  std::vector<std::string> commits;
  for (const CachedRevision& one : repository.revisions) {
    if (std::count(one.refs.begin(), one.refs.end(), model.revision) > 0) return {one.commit};
    if (model.revision.size() >= kShortest && one.commit.starts_with(model.revision)) {
      commits.push_back(one.commit);
    }
  }
  if (commits.size() == 1) return commits;
  if (commits.empty()) {
    throw Error("[E675] {} has no revision {} in the Hugging Face cache; {} shows what there is.",
                {printable(repository.id), quote(model.revision), "aira-cli list"});
  }
  throw Error("[E676] {} has several revisions that begin with {}; {} shows them.",
              {printable(repository.id), quote(model.revision), "aira-cli list"});
}

/// The packed weights that were made of `model`, an id or a folder; all of those when `only` is
/// null, else those of this revision.
void add_packed_of(const std::string& place, const CachedRevision* only, Plan& plan) {
  const std::string fingerprint =
      only == nullptr
          ? ""
          : PackedSource::of(ModelFiles::from_folder(only->folder.string()), "").fingerprint;
  for (const PackedFile& file : packed_files(cache_folder())) {
    const bool base = file.source.model == place;
    if (!base && file.source.adapter != place) continue;
    if (only == nullptr ||
        (base && !fingerprint.empty() && file.source.fingerprint.starts_with(fingerprint))) {
      plan.add(file);
    }
  }
}

/// Refuses what this program cannot run: nobody who has it removed has it removed by accident.
void refuse_others(const CachedRepository& repository, const CachedRevision& revision) {
  const RevisionState state = state_of(revision);
  if (state.kind != RevisionState::Kind::kOther) return;
  throw Error(
      "[E677] {} is no model that this program can run ({}), so that it is left alone; remove its "
      "folder {} by hand, if that is meant.",
      {printable(name_of(repository, revision)),
       state.why.empty() ? message("it has no config.json") : printable(state.why),
       quote(repository.folder.string(), 4096)});
}

void add_model(const HubModel& model, bool all, Plan& plan) {
  const auto folder = model.folder();
  std::error_code problem;
  auto repository =
      folder && fs::exists(*folder, problem) ? cached_repository(*folder) : std::nullopt;
  if (!repository) {
    throw Error("[E678] The model {} is not in the Hugging Face cache; {} shows what is.",
                {quote(model.id), "aira-cli list"});
  }
  std::vector<std::string> commits;
  for (const CachedRevision& one : repository->revisions) commits.push_back(one.commit);
  if (!all) commits = commits_of(*repository, model);
  const bool whole = commits.size() == repository->revisions.size();
  for (const CachedRevision& one : repository->revisions) {
    if (std::count(commits.begin(), commits.end(), one.commit) == 0) continue;
    refuse_others(*repository, one);
    for (std::size_t i = 0; i < std::max<std::size_t>(one.refs.size(), 1); ++i) {
      const std::string ref = one.refs.empty() ? "" : one.refs[i] + " ";
      plan.table.add({i == 0 ? printable(repository->id) : "",
                      message("revision {}", {printable(ref) + short_commit(one)}),
                      i == 0 ? size_text(one.bytes()) : ""});
    }
    if (!whole) add_packed_of(model_place(one.folder.string()), &one, plan);
  }
  Removal removal = plan_removal(*repository, commits);
  plan.bytes += removal.bytes;
  if (whole) add_packed_of(model_place(repository->folder.string()), nullptr, plan);
  if (commits.empty()) {
    plan.table.add(
        {printable(repository->id), message("rest of a download"), size_text(removal.bytes)});
  }
  if (whole && !repository->partial.empty()) {
    note(message("{}: {} half-done downloads stay in {}, for another program may be at them.",
                 {printable(repository->id), std::to_string(repository->partial.size()),
                  quote((repository->folder / "blobs").string(), 4096)}));
  }
  plan.removals.emplace_back(*std::move(repository), std::move(removal));
}

void add_packed_of_asked(const std::string& asked, Plan& plan) {
  std::error_code problem;
  const std::size_t before = plan.packed.size();
  const auto model = fs::is_directory(asked, problem) ? std::nullopt : hub_model(asked);
  const auto folder = model ? model->folder() : std::nullopt;
  add_packed_of(model_place(folder ? folder->string() : asked), nullptr, plan);
  if (plan.packed.size() > before) return;
  throw Error("[E679] There are no packed weights of {}; {} shows those that there are.",
              {quote(asked, 4096), "aira-cli list"});
}

Plan plan_of(const RmOptions& options) {
  Plan plan;
  for (const std::string& asked : options.models) {
    if (options.packed) {
      add_packed_of_asked(asked, plan);
      continue;
    }
    const auto model = hub_model(asked);
    if (!model) {
      throw Error(
          "[E680] {} is not the name of a model on the hub (ORG/NAME), and rm removes nothing but "
          "models in the cache.",
          {quote(asked, 4096)});
    }
    const bool revision =
        is_address(asked) ? model->revision != "main" : asked.find('@') != std::string::npos;
    add_model(*model, !revision, plan);
  }
  if (options.models.empty()) {
    for (const PackedFile& file : packed_files(cache_folder())) {
      if (!file.has_model()) plan.add(file);
    }
  }
  return plan;
}

/// Throws UsageError where nobody can be asked.
bool is_confirmed(const RmOptions& options, const Plan& plan) {
  if (options.yes) return true;
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1) {
    throw UsageError(
        "[E681] rm asks before it removes anything, but stdin is no terminal; {} "
        "removes without a question, and {} shows what would go.",
        {"--yes", "--dry-run"});
  }
  print_aside(plan.table.text());
  print_aside(message("Remove them ({})? [y/N] ", {size_text(plan.bytes)}));
  std::string answer;
  std::getline(std::cin, answer);
  constexpr std::string_view kYes = "yYsS";  // yes, sim
  return !answer.empty() && kYes.find(answer.front()) != kYes.npos;
}

int carry_out(const Plan& plan) {
  for (const auto& [repository, removal] : plan.removals) remove_from_cache(repository, removal);
  std::int64_t bytes = plan.bytes;
  for (const PackedFile& file : plan.packed) {
    if (file.unfinished) {
      if (!remove_abandoned(file.path)) bytes -= file.bytes;  // somebody is writing it
      continue;
    }
    std::error_code problem;
    fs::remove(file.path, problem);
    if (problem) {
      throw Error("[E674] {} cannot be removed: {}.",
                  {quote(file.path.string(), 4096), system_message(problem.value())});
    }
  }
  print(message("Removed; {} are free again.\n", {size_text(bytes)}));
  return kDone;
}

int run_rm(const RmOptions& options) {
  const Plan plan = plan_of(options);
  if (plan.table.empty()) {
    print(message("There is nothing to remove: every packed file belongs to a model.\n"));
    return kDone;
  }
  if (options.dry_run) {
    print(plan.table.text() + message("{} would be free.\n", {size_text(plan.bytes)}));
    return kDone;
  }
  if (is_confirmed(options, plan)) return carry_out(plan);
  print(message("Nothing was removed.\n"));
  return kFailed;
}

}  // namespace

Action set_up_rm(CLI::App& app) {
  const auto options = std::make_shared<RmOptions>();
  app.description(message(
      "aira-cli rm MODEL...              Remove models from the Hugging Face cache, with their "
      "packed weights\n"
      "aira-cli rm --packed              Remove packed weights whose model is gone\n"
      "aira-cli rm --packed MODEL...     Remove a model's packed weights"));
  app.footer(message("Examples:") + R"(
  aira-cli rm org/name --dry-run
  aira-cli rm org/name@v1.0
  aira-cli rm --packed --yes)");
  app.add_option("MODEL", options->models)->take_all();
  app.option_defaults()->group(message("Removal"));
  app.add_flag("--packed", options->packed, message("Packed weights only"));
  app.add_flag("--dry-run", options->dry_run, message("Only show what would go"));
  app.add_flag("-y,--yes", options->yes, message("Do not ask"));
  app.final_callback([options] {
    if (!options->packed && options->models.empty()) {
      throw UsageError("[E682] rm needs the name of a model, or {}.", {"--packed"});
    }
  });
  return [options] { return run_rm(*options); };
}

}  // namespace aira
