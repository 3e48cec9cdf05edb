#include "model/weight_cache.h"

#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "model/packed_file.h"
#include "model/parameters.h"

namespace aira {
namespace {

/// Takes parameters out of a packed file.
class Adopter {
 public:
  Adopter(const PackedFile& file, Backend& backend, DType dtype)
      : file_(file), backend_(backend), dtype_(dtype) {}

  void matrix(const std::string& name, Matrix& matrix, std::int64_t in, std::int64_t out,
              bool /*out_major*/) {
    const auto part = file_.find(name, backend_.packing()->bytes(dtype_, in, out));
    complete_ = complete_ && part;
    if (part) matrix = {part, dtype_, in, out};
  }
  void vector(const std::string& name, Vector& vector, const std::vector<std::int64_t>& shape) {
    std::int64_t size = 1;
    for (const std::int64_t n : shape) size *= n;
    const auto part = file_.find(name, size * size_of(DType::kF32));
    complete_ = complete_ && part;
    if (part) vector = backend_.load_vector(part, DType::kF32, size);
  }
  /// Whether everything asked for was there.
  bool complete() const { return complete_; }

 private:
  const PackedFile& file_;
  Backend& backend_;
  DType dtype_;
  bool complete_ = true;
};

/// Lists a model's parameters as the parts of a packed file.
struct Collector {
  const Backend& backend;
  std::vector<PackedFile::Part> parts;

  void matrix(const std::string& name, const Matrix& matrix, std::int64_t /*in*/,
              std::int64_t /*out*/, bool /*out_major*/) {
    add(name, matrix.data.get(),
        backend.packing()->bytes(matrix.dtype, matrix.in, matrix.out));
  }
  void vector(const std::string& name, const Vector& vector,
              const std::vector<std::int64_t>& /*shape*/) {
    add(name, vector.data.get(), vector.size * size_of(DType::kF32));
  }
  void add(const std::string& name, const void* data, std::int64_t bytes) {
    parts.push_back({name, {static_cast<const char*>(data), static_cast<std::size_t>(bytes)}});
  }
};

}  // namespace

std::string cache_folder() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  const std::string own = variable("AIRA_CACHE");
  if (!own.empty()) return own == "off" ? "" : own;
  const std::filesystem::path xdg = variable("XDG_CACHE_HOME");
  if (!xdg.empty()) return xdg / "aira";
  const std::filesystem::path home = variable("HOME");
  return home.empty() ? "" : (home / ".cache" / "aira").string();
}

WeightCache::WeightCache(const std::string& folder, const ModelFiles& files, Backend& backend,
                         DType dtype)
    : files_(files), backend_(backend), dtype_(dtype) {
  if (folder.empty() || backend.packing() == nullptr) return;
  const std::string fingerprint = files.fingerprint({"config.json", ".safetensors", ".index.json"});
  if (fingerprint.empty()) return;
  path_ = packed_path(folder, files.place(), name_of(dtype));  // however the folder is written
  key_ = backend.packing()->name + "\n" + name_of(dtype) + "\n" + fingerprint;
}

std::optional<Model> WeightCache::take() const {
  if (path_.empty()) return std::nullopt;
  const std::optional<PackedFile> file = PackedFile::open(path_, key_);
  if (!file) return std::nullopt;
  Model model;
  model.config = read_model_config(files_);
  model.dtype = dtype_;
  model.layers.resize(static_cast<std::size_t>(model.config.layers));
  Adopter adopter(*file, backend_, dtype_);
  each_parameter(model, adopter);
  model.head = model.token_embedding;
  if (file->has(kHeadName)) {
    adopter.matrix(kHeadName, model.head, model.config.width, model.config.vocab, true);
  }
  if (!adopter.complete()) return std::nullopt;
  return model;
}

Model WeightCache::load() {
  std::optional<Model> model = take();
  hit_ = model.has_value();
  return hit_ ? *std::move(model) : Model::load(files_, backend_, dtype_);
}

std::string WeightCache::keep(const Model& model, const std::function<bool()>& go_on) const {
  if (path_.empty() || hit_) return {};
  try {
    Collector collector{backend_, {}};
    each_parameter(model, collector);
    if (model.head.data != model.token_embedding.data) {
      collector.matrix(kHeadName, model.head, 0, 0, true);
    }
    return PackedFile::write(path_, key_, collector.parts, go_on);
  } catch (const std::exception& problem) {  // no memory for a name, say
    return problem.what();
  }
}

}  // namespace aira
