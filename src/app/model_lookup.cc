// The cache has the layout of huggingface_hub: models--ORG--NAME/refs/main
// holds a revision, whose files are in models--ORG--NAME/snapshots/REVISION.
#include "app/model_lookup.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "app/config_file.h"
#include "app/output.h"
#include "base/printable.h"
#include "device/device.h"
#include "model/adapter.h"
#include "model/checkpoint.h"
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

/// The folder of hub model `id` ("org/name") in the cache, there or not; nothing without a cache.
std::optional<fs::path> cache_folder_of(const std::string& id) {
  const std::optional<fs::path> cache = hub_cache();
  if (!cache) return std::nullopt;
  std::string folder = "models--" + id;
  if (const auto slash = folder.find('/'); slash != std::string::npos) {
    folder.replace(slash, 1, "--");
  }
  return *cache / folder;
}

/// The snapshot of hub model `id` in the cache, if it is there. A revision is a name or a commit.
std::optional<FoundModel> find_in_cache(const std::string& id, const std::string& revision) {
  const std::optional<fs::path> folder = cache_folder_of(id);
  if (!folder || revision.find("..") != std::string::npos) return std::nullopt;
  std::ifstream reference(*folder / "refs" / revision);
  std::string commit;
  if (!(reference >> commit)) commit = revision;
  if (commit.find('/') != std::string::npos) return std::nullopt;
  const fs::path snapshot = *folder / "snapshots" / commit;
  std::error_code problem;
  if (!fs::is_directory(snapshot, problem)) return std::nullopt;
  return FoundModel{ModelFiles::from_folder(snapshot.string()), id, "Hugging Face cache"};
}

/// The default model, if anything of it is in the cache: an interrupted download must not go
/// unnoticed. Throws Error when it is not whole.
std::optional<FoundModel> find_default() {
  const std::optional<fs::path> folder = cache_folder_of(kDefaultModel);
  std::error_code problem;
  if (!folder || !fs::exists(*folder, problem)) return std::nullopt;
  try {
    auto model = find_in_cache(kDefaultModel, "main");
    if (!model) throw Error(printable(folder->string()) + " has no snapshot.");
    const ModelFiles& files = model->files;
    files.require("config.json");
    for (const std::string& name : Checkpoint::file_names(files)) files.require(name);
    if (!files.find("tokenizer.json")) {
      for (const char* name : {"vocab.json", "merges.txt"}) files.require(name);
    }
    return model;
  } catch (const Error& error) {
    std::string reason = error.what();
    if (reason.ends_with('.')) reason.pop_back();
    throw Error(std::string("The model ") + kDefaultModel +
                " in the Hugging Face cache is not whole: " + reason +
                "; fetch it again (hf download " + kDefaultModel +
                ") or choose another model with -m.");
  }
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

/// The path below `folder`, nearest to the end of the alphabet, that holds a config.json: a
/// trainer's checkpoint-500, a cached snapshot.
std::optional<fs::path> model_below(const fs::path& folder) {
  std::optional<fs::path> found;
  std::error_code problem;
  for (const char* below : {".", "snapshots"}) {
    for (fs::directory_iterator entry(folder / below, problem), end; !problem && entry != end;
         entry.increment(problem)) {
      const fs::path inner = entry->path().lexically_normal();
      const auto rank = [](const fs::path& path) {  // checkpoint-1000 is after checkpoint-500
        return std::pair(path.string().size(), path.string());
      };
      if (!fs::exists(inner / "config.json", problem)) continue;
      if (!found || rank(*found) < rank(inner)) found = inner;
    }
  }
  return found;
}

/// Throws an Error that says what a folder is which people take for a model.
void refuse_other_folders(const ModelFiles& files) {
  const std::string& place = files.place();
  const auto holds = [&](const char* name) {
    std::error_code problem;
    return fs::exists(fs::path(place) / name, problem);
  };
  const bool weights = holds("model.safetensors") || holds("pytorch_model.bin");
  if (holds(kAdapterConfig) && !weights) {
    throw Error(quote(place, 4096) + " is an adapter (PEFT) and not a whole model; give it with " +
                "--adapter, and its base model with -m.");
  }
  if (holds("config.json")) return;
  if (const auto inner = model_below(place)) {
    throw Error(quote(place, 4096) +
                " is not a model, for it has no config.json, but it holds one: " + "-m " +
                quote(inner->string(), 4096) + ".");
  }
  if (holds("tokenizer.json") || holds("vocab.json")) {
    throw Error(quote(place, 4096) +
                " is a tokenizer and not a model: it has no config.json; copy " +
                "the model's config.json and weights beside it.");
  }
}

/// A folder or hub id that is there, whatever is in it.
FoundModel find_folder(const std::string& asked, const std::string& origin,
                       const std::string& revision = "main") {
  if (asked.empty()) throw Error(origin + " names no model.");
  std::error_code problem;
  if (!is_hub_id(asked) || fs::exists(asked, problem) || problem) {
    return {ModelFiles::from_folder(asked), asked, "folder"};
  }
  if (auto model = find_in_cache(asked, revision)) return *std::move(model);
  const std::optional<fs::path> cache = hub_cache();
  throw Error("The model " + quote(asked) + " (" + origin + ") is neither a folder nor in the " +
              "Hugging Face cache" + (cache ? " at " + printable(cache->string()) : "") + ".");
}

FoundModel find_asked(const std::string& asked, const std::string& origin) {
  FoundModel model = find_folder(asked, origin);
  refuse_other_folders(model.files);
  return model;
}

/// The adapter on `model`, else on the one that it names itself. `origin`: the config file, or
/// empty for options.
FoundModel find_adapted(const std::string& asked, const std::optional<std::string>& model,
                        const std::string& origin = {}) {
  const FoundModel adapter = find_folder(asked, origin.empty() ? "--adapter" : origin);
  std::optional<FoundModel> base;
  if (model) {
    base = find_asked(*model, origin.empty() ? "-m" : origin);
  } else {
    const AdapterBase named = base_of(adapter.files);
    base = find_folder(
        named.model,
        "base_model_name_or_path in " + printable(adapter.files.place() + "/" + kAdapterConfig),
        named.revision.empty() ? "main" : named.revision);
    refuse_other_folders(base->files);
  }
  return {base->files.with_adapter(adapter.files), base->name + " + " + adapter.name, base->found};
}

/// Writes to stderr; nothing with --quiet.
std::function<void(const std::string&)> notice_of(const CommonOptions& options) {
  if (options.quiet) return {};
  return note;
}

}  // namespace

bool colours() {
  return !environment("NO_COLOR") && environment("TERM").value_or("dumb") != "dumb";
}

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

FoundModel find_model(const CommonOptions& options) {
  const Config& file = config();
  // Not on $AIRA_MODEL, which may be any other.
  if (options.adapter) return find_adapted(*options.adapter, options.model);
  if (options.model) return find_asked(*options.model, "-m");
  if (const auto variable = environment("AIRA_MODEL")) return find_asked(*variable, "$AIRA_MODEL");
  if (file.adapter) return find_adapted(*file.adapter, file.model, printable(file.path));
  if (file.model) return find_asked(*file.model, printable(file.path));
  if (auto cached = find_default()) return *std::move(cached);
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
