// A whole regular file mapped read-only into memory. Where the file is cut short meanwhile, reading
// is a SIGBUS (lost_pages.h); where others write to it, their bytes may show.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "aira/model_files.h"

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

FileStamp stamp_of(const struct stat& info);

/// Has the system read these bytes in the background, if they are part of a mapped file.
void read_ahead(const std::shared_ptr<const std::byte>& data, std::size_t bytes);

/// Takes these bytes out of this process's memory, if they are part of a mapped file, from which
/// they come back when they are read again.
void give_back(const std::shared_ptr<const std::byte>& data, std::size_t bytes);

/// Maps the file `path`; nothing when there is none of that name. Throws Error when it exists but
/// is not a readable, non-empty regular file.
std::optional<File> map_file(const std::string& path);

}  // namespace aira
