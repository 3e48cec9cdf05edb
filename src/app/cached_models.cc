#include "app/cached_models.h"

#include <algorithm>
#include <filesystem>

#include "app/model_lookup.h"
#include "app/output.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "model/checkpoint.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

/// "" when config.json does not say; throws Error when it cannot be read.
std::string model_type(const ModelFiles& files) {
  const File config = files.require("config.json");
  const nlohmann::json json = parse_python_json(config.text(), config.path);
  return JsonObject(json, config.path).text("model_type").value_or("");
}

bool has(const CachedRevision& revision, const char* name) {
  return std::any_of(revision.files.begin(), revision.files.end(),
                     [&](const CachedFile& file) { return file.name == name; });
}

/// "org/name" for a repository in a Hugging Face cache, else the folder's path.
std::string name_of_place(const std::string& place) {
  const auto repository = fs::path(place).filename().string().starts_with("models--")
                              ? cached_repository(place)
                              : std::nullopt;
  return repository ? repository->id : place;
}

}  // namespace

RevisionState state_of(const CachedRevision& revision) {
  using Kind = RevisionState::Kind;
  RevisionState state = {Kind::kWhole, ""};
  const bool adapter = has(revision, "adapter_config.json") && !has(revision, "config.json");
  // Whole pipelines (diffusers and the like) have a folder for each of their models.
  const bool folders =
      std::any_of(revision.files.begin(), revision.files.end(),
                  [](const CachedFile& file) { return file.name.find('/') != std::string::npos; });
  if (folders && !adapter && !has(revision, "config.json")) return {Kind::kOther, ""};
  const auto problem = problem_in([&] {
    const ModelFiles files = ModelFiles::from_folder(revision.folder.string());
    if (adapter) {
      state.kind = Kind::kAdapter;
      Checkpoint::open_adapter(files);
      return;
    }
    if (const std::string type = model_type(files); !type.empty() && type != "gpt2") {
      state = {Kind::kOther, type};
      return;
    }
    require_whole(files);
    Checkpoint::open(files);
    const auto missing = std::find_if(revision.files.begin(), revision.files.end(),
                                      [](const CachedFile& file) { return file.missing; });
    if (missing != revision.files.end()) map_file(missing->path);  // says so
  });
  return problem ? RevisionState{Kind::kNotWhole, problem->what()} : state;
}

std::string name_of(const CachedRepository& repository, const CachedRevision& revision) {
  const std::string name = revision.refs.empty() ? revision.commit : revision.refs.front();
  return name == "main" ? repository.id : repository.id + "@" + name;
}

std::string short_commit(const CachedRevision& revision) { return revision.commit.substr(0, 8); }

std::string name_of(const PackedFile& file) {
  const PackedSource& source = file.source;
  if (source.model.empty()) return {};
  const std::string model = name_of_place(source.model);
  return source.adapter.empty() ? model : model + " + " + name_of_place(source.adapter);
}

}  // namespace aira
