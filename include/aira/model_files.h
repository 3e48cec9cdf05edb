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
#include <vector>

namespace aira {

/// What tells another file, or other bytes, under the name of a file. Times are in nanoseconds.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified = 0;
  std::int64_t changed = 0;  // unlike that of modification nobody can set it

  bool operator==(const FileStamp&) const = default;
};

/// A whole file in memory, mapped or embedded. `path` is for error messages.
struct File {
  std::string path;
  std::shared_ptr<const std::byte> data;  // keeps the mapping alive
  std::size_t size = 0;
  FileStamp stamp = {};  // when it was mapped; zeros for one that was not

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

  /// Changes when any file whose name ends in one of `endings` does: the name, size, times, inode,
  /// device and a digest of samples of each, all as of when this opened the file. What it misses:
  /// other bytes between the samples in a file system that shows neither times of change nor inodes
  /// of their own. Never throws Error; empty for files in memory.
  std::string fingerprint(std::initializer_list<std::string_view> endings) const;

  /// Throws Error when one of the files that were opened has been written to since: what was read
  /// may be part old and part new. A new file under the same name is no error, the old one goes on.
  void require_untouched() const;

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
  std::function<std::optional<File>(const std::string&)> find_;
  std::function<std::vector<File>()> opened_;  // with a folder
  std::shared_ptr<const ModelFiles> adapter_;
};

}  // namespace aira
