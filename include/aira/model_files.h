// The files of a model, by name: from a folder in Hugging Face layout or from memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace aira {

/// A whole file in memory, mapped or embedded. `path` is for error messages.
struct File {
  std::string path;
  std::shared_ptr<const std::byte> data;  // keeps the mapping alive
  std::size_t size = 0;

  std::string_view text() const { return {reinterpret_cast<const char*>(data.get()), size}; }
};

/// A digest of samples all over the file: a second, not a minute, for gigabytes.
std::uint64_t sampled_digest(const File& file);

class ModelFiles {
 public:
  /// The files in the folder `path`. Throws Error when it is not a readable folder.
  static ModelFiles from_folder(const std::string& path);
  /// Files that are already in memory: `find(name)` returns the file or nothing. `label` takes the
  /// place of the folder in messages, e.g. "built-in aira-mini".
  static ModelFiles from_memory(std::string label,
                                std::function<std::optional<File>(const std::string&)> find);

  /// The file `name`, opened once, or nothing when it does not exist. Throws Error when it cannot
  /// be read, and for names with a path separator or "..", which may come from an untrusted index.
  std::optional<File> find(const std::string& name) const;
  /// The same, but a missing file is an Error.
  File require(const std::string& name) const;

  /// Changes when any file whose name ends in one of `endings` does: the name, size, times and a
  /// digest of samples of each. What it misses: other bytes between the samples in a file system
  /// that shows no time of change (squashfs, say). Never throws Error; empty for files in memory.
  std::string fingerprint(std::initializer_list<std::string_view> endings) const;

  /// The folder's path or the label.
  const std::string& place() const { return place_; }

  /// The same model with the LoRA adapter in that folder (PEFT), merged when it is loaded.
  ModelFiles with_adapter(ModelFiles adapter) const;
  /// Its folder; null without one.
  const ModelFiles* adapter() const { return adapter_.get(); }

 private:
  ModelFiles(std::string place, std::function<std::optional<File>(const std::string&)> find);
  std::string fingerprint_of(const std::string& name) const;

  std::string place_;
  bool is_folder_ = false;
  std::function<std::optional<File>(const std::string&)> find_;
  std::shared_ptr<const ModelFiles> adapter_;
};

}  // namespace aira
