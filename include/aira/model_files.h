// Where a model's files come from: a folder in Hugging Face layout, a hub id in the local cache, or
// the copy embedded in this program. The rest of the program asks for files by name only.
#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace aira {

/// A whole file in memory (mapped or embedded). `path` names it in error messages.
struct File {
  std::string path;
  std::shared_ptr<const std::byte> data;  // keeps the mapping alive
  std::size_t size = 0;

  std::string_view text() const { return {reinterpret_cast<const char*>(data.get()), size}; }
};

class ModelFiles {
 public:
  /// The files of folder `path`. Throws Error when it is not a readable folder.
  static ModelFiles from_folder(const std::string& path);
  /// Files that are already in memory: `find(name)` gives the file or nothing. `label` stands for
  /// the place in messages and in `info`, e.g. "built-in aira-mini".
  static ModelFiles from_memory(std::string label,
                                std::function<std::optional<File>(const std::string&)> find);

  /// The file called `name`, or nothing when there is none. Throws Error when it exists but cannot
  /// be read. Names with a path separator or ".." are refused (they come from untrusted indexes).
  std::optional<File> find(const std::string& name) const;
  /// The same, but a missing file is an Error that names it and the place.
  File require(const std::string& name) const;

  /// A text that changes when one of the files does whose names end in one of `endings`: name,
  /// size, time of change and a digest of the first bytes of each. Never throws Error for them.
  /// Empty when the files are in memory.
  std::string fingerprint(std::initializer_list<std::string_view> endings) const;

  /// The folder's path or the label.
  const std::string& place() const { return place_; }

 private:
  ModelFiles(std::string place, std::function<std::optional<File>(const std::string&)> find);

  std::string place_;
  bool is_folder_ = false;
  std::function<std::optional<File>(const std::string&)> find_;
};

}  // namespace aira
