// The cache has the layout of huggingface_hub: models--ORG--NAME/refs/main
// holds a revision, whose files are in models--ORG--NAME/snapshots/REVISION.
#include "app/model_lookup.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "app/output.h"
#include "base/printable.h"
#include "device/device.h"
#include "model/weight_cache.h"

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

/// Where huggingface_hub keeps its models, by its own rules.
std::optional<fs::path> hub_cache() {
  constexpr std::array<std::array<const char*, 2>, 5> kPlaces = {{
      {"HF_HUB_CACHE", nullptr},
      {"HUGGINGFACE_HUB_CACHE", nullptr},
      {"HF_HOME", "hub"},
      {"XDG_CACHE_HOME", "huggingface/hub"},
      {"HOME", ".cache/huggingface/hub"},
  }};
  for (const auto& [variable, below] : kPlaces) {
    const auto folder = environment(variable);
    if (folder) return below == nullptr ? fs::path(*folder) : fs::path(*folder) / below;
  }
  return std::nullopt;
}

/// "name" or "org/name" in the letters that the hub allows.
bool is_hub_id(const std::string& text) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
  return !text.empty() && text.find_first_not_of(kLetters) == std::string::npos &&
         std::count(text.begin(), text.end(), '/') <= 1 && text.front() != '/' &&
         text.back() != '/' && text.front() != '.' && text.find("..") == std::string::npos;
}

/// The snapshot of hub model `id` ("org/name") in the cache, if it is there.
std::optional<FoundModel> find_in_cache(const std::string& id) {
  const std::optional<fs::path> cache = hub_cache();
  if (!cache) return std::nullopt;
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
  return FoundModel{ModelFiles::from_folder(snapshot.string()), id, "Hugging Face cache"};
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
  return ModelFiles::from_memory(label, [=](const std::string& name) -> std::optional<File> {
    for (const Entry* entry = aira_builtin_files; entry->name != nullptr; ++entry) {
      if (name != entry->name) continue;
      return File{label + "/" + name, {entry->data, [](const std::byte*) {}}, entry->size};
    }
    return std::nullopt;
  });
}

FoundModel find_asked(const std::string& asked, const std::string& origin) {
  if (asked.empty()) throw Error(origin + " names no model.");
  std::error_code problem;
  if (!is_hub_id(asked) || fs::exists(asked, problem) || problem) {
    return {ModelFiles::from_folder(asked), asked, "folder"};
  }
  if (auto model = find_in_cache(asked)) return *std::move(model);
  const std::optional<fs::path> cache = hub_cache();
  throw Error("The model " + quote(asked) + " (" + origin + ") is neither a folder nor in the " +
              "Hugging Face cache" + (cache ? " at " + printable(cache->string()) : "") + ".");
}

/// Writes to stderr; nothing with --quiet.
std::function<void(const std::string&)> notice_of(const CommonOptions& options) {
  if (options.quiet) return {};
  return note;
}

}  // namespace

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

FoundModel find_model(const CommonOptions& options) {
  if (options.model) return find_asked(*options.model, "-m");
  if (const auto variable = environment("AIRA_MODEL")) return find_asked(*variable, "$AIRA_MODEL");
  auto cached = find_in_cache(kDefaultModel);
  if (cached && is_complete(cached->files.place())) return *std::move(cached);
  if (auto files = builtin_model()) {
    if (!options.quiet) note("using the small built-in demo model; -m MODEL chooses another.");
    return {*std::move(files), kBuiltinName, "built in"};
  }
  throw Error(std::string("There is no model: -m and $AIRA_MODEL are not set, ") + kDefaultModel +
              " is not in the Hugging Face cache, and none is built in.");
}

EngineOptions engine_options(const CommonOptions& options, const FoundModel& model,
                             std::int64_t max_sequences, std::int64_t expected_answers) {
  return {.files = model.files,
          .device = options.device,
          .dtype = options.dtype,
          .threads = options.threads,
          .max_sequences = max_sequences,
          .expected_answers = expected_answers,
          .cache_folder = cache_folder(),
          .notice = notice_of(options)};
}

ModelOnBackend::ModelOnBackend(const CommonOptions& options)
    : found(find_model(options)),
      pool(options.threads > 0 ? options.threads : ThreadPool::usable_cores()),
      backend(make_backend(options.device, options.dtype, pool, notice_of(options))) {}

}  // namespace aira
