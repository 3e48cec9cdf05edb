// A whole regular file mapped read-only into memory. Folders, pipes, devices and empty files are
// refused with a sentence. The mapping is private; a file that someone shortens while it is mapped
// is outside what a program can defend against.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace aira {

class MappedFile {
 public:
  /// Maps the file `path`. Returns null when nothing of that name exists; throws Error when it
  /// exists but is not a readable, non-empty regular file.
  static std::shared_ptr<const MappedFile> open(const std::string& path);

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  MappedFile(const std::byte* data, std::size_t size) : data_(data), size_(size) {}

  const std::byte* data_;
  std::size_t size_;  // > 0
};

}  // namespace aira
