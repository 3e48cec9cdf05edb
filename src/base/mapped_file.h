// A whole regular file mapped read-only into memory. Folders, pipes, devices and empty files are
// errors. A file that is truncated while it is mapped is beyond a program's defences.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <memory>
#include <string>

namespace aira {

/// Closes a file descriptor at the end of a scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

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
