// The cache has the layout of huggingface_hub: models--ORG--NAME/refs/main holds a revision, whose
// files are in models--ORG--NAME/snapshots/REVISION.
#include "app/model_lookup.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBuiltinName = "aira-mini";
constexpr const char* kDefaultModel = "nicholasKluge/Aira-2-portuguese-124M";

/// A file that builtin_model.S embeds.
struct Entry {
  const char* name;
  const std::byte* data;
  std::size_t size;
};

/// The variable's value; an empty one counts as not set.
std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

/// Where huggingface_hub keeps its models, by its own rules.
std::optional<fs::path> hub_cache() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const auto folder = environment(name)) return *folder;
  }
  if (const auto home = environment("HF_HOME")) return fs::path(*home) / "hub";
  if (const auto cache = environment("XDG_CACHE_HOME")) {
    return fs::path(*cache) / "huggingface" / "hub";
  }
  if (const auto home = environment("HOME")) {
    return fs::path(*home) / ".cache" / "huggingface" / "hub";
  }
  return std::nullopt;
}

/// "name" or "org/name" in the letters that the hub allows.
bool is_hub_id(const std::string& text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '/';
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), allowed) &&
         std::count(text.begin(), text.end(), '/') <= 1 && text.front() != '/' &&
         text.back() != '/' && text.front() != '.' && text.find("..") == std::string::npos;
}

/// The snapshot of hub model `id` in the cache, if it is there.
std::optional<std::string> find_in_cache(const std::string& id) {
  const std::optional<fs::path> cache = hub_cache();
  if (!cache || !is_hub_id(id)) return std::nullopt;
  std::string folder = "models--" + id;
  if (const auto slash = folder.find('/'); slash != std::string::npos) {
    folder.replace(slash, 1, "--");
  }
  std::ifstream reference(*cache / folder / "refs" / "main");
  std::string revision;
  if (!(reference >> revision) || revision.find('/') != std::string::npos) return std::nullopt;
  const fs::path snapshot = *cache / folder / "snapshots" / revision;
  std::error_code problem;
  if (!fs::is_directory(snapshot, problem)) return std::nullopt;
  return snapshot.string();
}

/// Whether someone fetched the weights too, and not just a file of the model.
bool is_complete(const std::string& snapshot) {
  std::error_code problem;
  return fs::exists(fs::path(snapshot) / "config.json", problem) &&
         (fs::exists(fs::path(snapshot) / "model.safetensors", problem) ||
          fs::exists(fs::path(snapshot) / "model.safetensors.index.json", problem));
}

extern "C" const Entry aira_builtin_files[];  // a null name ends them

/// The demo model in the executable, so that the program answers right after the build; nothing
/// when it was built without one.
std::optional<ModelFiles> builtin_model() {
  if (aira_builtin_files[0].name == nullptr) return std::nullopt;
  const std::string label = std::string("built-in ") + kBuiltinName;
  return ModelFiles::from_memory(label, [](const std::string& name) -> std::optional<File> {
    for (const Entry* entry = aira_builtin_files; entry->name != nullptr; ++entry) {
      if (name != entry->name) continue;
      return File{std::string("built-in ") + kBuiltinName + "/" + name,
                  {entry->data, [](const std::byte*) {}},
                  entry->size};
    }
    return std::nullopt;
  });
}

FoundModel find_asked(const std::string& asked, const std::string& origin) {
  if (asked.empty()) throw Error(origin + " names no model.");
  std::error_code problem;
  const bool exists = fs::exists(asked, problem) || problem;
  if (!exists && is_hub_id(asked)) {
    if (const auto snapshot = find_in_cache(asked)) {
      return {ModelFiles::from_folder(*snapshot), asked, "Hugging Face cache"};
    }
    const std::optional<fs::path> cache = hub_cache();
    throw Error("The model " + quote(asked) + " (" + origin + ") is neither a folder nor in the " +
                "Hugging Face cache" +
                (cache ? " at " + printable(cache->string()) : std::string()) + ".");
  }
  return {ModelFiles::from_folder(asked), asked, "folder"};
}

}  // namespace

FoundModel find_model(const std::optional<std::string>& asked) {
  if (asked) return find_asked(*asked, "-m");
  if (const auto variable = environment("AIRA_MODEL")) return find_asked(*variable, "$AIRA_MODEL");
  const auto snapshot = find_in_cache(kDefaultModel);
  if (snapshot && is_complete(*snapshot)) {
    return {ModelFiles::from_folder(*snapshot), kDefaultModel, "Hugging Face cache"};
  }
  if (auto files = builtin_model()) {
    return {*std::move(files), kBuiltinName, "built in", true};
  }
  throw Error(std::string("There is no model: -m and $AIRA_MODEL are not set, ") + kDefaultModel +
              " is not in the Hugging Face cache, and none is built in.");
}

}  // namespace aira
