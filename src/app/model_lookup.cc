#include "app/model_lookup.h"

#include <filesystem>

#include "app/config_file.h"
#include "app/output.h"
#include "base/printable.h"
#include "device/device.h"
#include "model/adapter.h"
#include "model/checkpoint.h"
#include "model/packed_folder.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBuiltinName = "aira-mini";

/// A file that builtin_model.S embeds.
struct Entry {
  const char* name;
  const std::byte* data;
  std::size_t size;
};

/// The model in the cache, if it is there.
std::optional<FoundModel> find_in_cache(const HubModel& model) {
  const std::optional<fs::path> snapshot = model.snapshot();
  if (!snapshot) return std::nullopt;
  return FoundModel{ModelFiles::from_folder(snapshot->string()), model.name(),
                    "Hugging Face cache"};
}

/// The default model, if anything of it is in the cache: an interrupted download must not go
/// unnoticed. Throws Error when it is not whole.
std::optional<FoundModel> find_default() {
  const HubModel wanted{kDefaultModel};
  const std::optional<fs::path> folder = wanted.folder();
  std::error_code problem;
  if (!folder || !fs::exists(*folder, problem)) return std::nullopt;
  try {
    auto model = find_in_cache(wanted);
    if (!model) throw Error("[E293] {} has no snapshot.", {printable(folder->string())});
    require_whole(model->files);
    return model;
  } catch (const Error& error) {
    std::string reason = error.what();
    if (reason.ends_with('.')) reason.pop_back();
    throw Error(
        "[E294] The model {} in the Hugging Face cache is not whole: {}; fetch it again ({}) or "
        "choose another model with -m.",
        {kDefaultModel, reason, wanted.download()});
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
  const std::string name = quote(place, 4096);
  if (holds(kAdapterConfig) && !weights) {
    throw Error(
        "[E295] {} is an adapter (PEFT) and not a whole model; give it with --adapter, and its "
        "base model with -m.",
        {name});
  }
  if (holds("config.json")) return;
  if (const auto inner = model_below(place)) {
    throw Error("[E296] {} is not a model, for it has no config.json, but it holds one: -m {}.",
                {name, quote(inner->string(), 4096)});
  }
  if (holds("tokenizer.json") || holds("vocab.json")) {
    throw Error(
        "[E297] {} is a tokenizer and not a model: it has no config.json; copy the model's "
        "config.json and weights beside it.",
        {name});
  }
}

/// Throws the Error for a model that is not in the cache.
[[noreturn]] void refuse_missing(const std::string& asked, const std::string& origin,
                                 const HubModel& model) {
  const std::optional<fs::path> folder = model.folder();
  std::error_code problem;
  if (!folder) {
    throw Error(
        "[E298] The model {} ({}) is no folder, and there is no home for a Hugging Face cache.",
        {quote(asked), origin});
  }
  const std::string cache = printable(folder->parent_path().string());
  if (model.revision != "main" && fs::exists(*folder, problem)) {
    throw Error(
        "[E299] The revision {} of the model {} ({}) is not in the Hugging Face cache at {}; fetch "
        "it ({}).",
        {quote(model.revision), quote(model.id), origin, cache, model.download()});
  }
  throw Error(
      "[E613] The model {} ({}) is neither a folder nor in the Hugging Face cache at {}; fetch it "
      "({}), or give another model.",
      {quote(asked), origin, cache, model.download()});
}

/// A folder, or a model of the hub that is in the cache, whatever is in it. A folder goes first, as
/// in transformers. `revision` is that of a hub id without one.
FoundModel find_folder(const std::string& asked, const std::string& origin,
                       const std::string& revision = "main") {
  if (asked.empty()) throw Error("[E614] {} names no model.", {origin});
  std::error_code problem;
  const bool there = !is_address(asked) && (fs::exists(asked, problem) || problem);
  std::optional<HubModel> model = there ? std::nullopt : hub_model(asked);
  if (!model) return {ModelFiles::from_folder(asked), asked, "folder"};
  if (model->revision == "main") model->revision = revision;
  if (auto found = find_in_cache(*model)) return *std::move(found);
  refuse_missing(asked, origin, *model);
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
    base =
        find_folder(named.model,
                    message("{} in {}", {"base_model_name_or_path",
                                         printable(adapter.files.place() + "/" + kAdapterConfig)}),
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

const char* origin_of_model(const CommonOptions& options) {
  if (options.adapter) return "--adapter";
  if (options.model) return "-m";
  if (environment("AIRA_MODEL")) return "$AIRA_MODEL";
  return config().model || config().adapter ? "config file" : "default";
}

void require_whole(const ModelFiles& files) {
  files.require("config.json");
  for (const std::string& name : Checkpoint::file_names(files)) files.require(name);
  if (!files.find("tokenizer.json")) {
    for (const char* name : {"vocab.json", "merges.txt"}) files.require(name);
  }
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
    if (!options.quiet) {
      note(message(
          "using the small built-in demo model; 'aira-cli pull' fetches Aira itself, and -m "
          "MODEL chooses another."));
    }
    return {*std::move(files), kBuiltinName, "built in"};
  }
  throw Error(
      "[E615] There is no model: -m and $AIRA_MODEL are not set, {} is not in the Hugging Face "
      "cache, and none is built in.",
      {kDefaultModel});
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
      backend(make_backend(options.device, pool, notice_of(options))) {}

}  // namespace aira
