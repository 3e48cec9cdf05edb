// Opening does not block on a pipe, and the open file is checked, not its name, so a file swapped
// between two calls cannot slip through.
#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <system_error>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error(printable(path) + " " + what + ".");
}

std::string reason(int error) { return std::generic_category().message(error); }

int open_read_only(const std::string& path) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

/// A dangling link is not "no such file": the folder lists it.
void refuse_broken_link(const std::string& path) {
  struct stat link = {};
  if (::lstat(path.c_str(), &link) == 0) {
    fail(path, "is a link to a file that is not there (was a download interrupted?)");
  }
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  const Descriptor fd(open_read_only(path));
  if (fd.get() < 0) {
    const int error = errno;
    if (error == ENOENT) {
      refuse_broken_link(path);
      return nullptr;
    }
    fail(path, "cannot be opened: " + reason(error));
  }
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0) fail(path, "cannot be read: " + reason(errno));
  if (S_ISDIR(info.st_mode)) fail(path, "is a folder, but a file was expected");
  if (!S_ISREG(info.st_mode)) fail(path, "is not a regular file");
  if (info.st_size == 0) fail(path, "is empty");
  const auto bytes = static_cast<std::uintmax_t>(info.st_size);
  if (bytes > static_cast<std::uintmax_t>(std::numeric_limits<std::ptrdiff_t>::max())) {
    fail(path, "is too large for this machine's address space");
  }
  const auto size = static_cast<std::size_t>(bytes);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) fail(path, "cannot be mapped into memory: " + reason(errno));
  return std::shared_ptr<const MappedFile>(
      new MappedFile(static_cast<const std::byte*>(data), size));
}

MappedFile::~MappedFile() {
  ::munmap(const_cast<std::byte*>(data_), size_);  // NOLINT: munmap takes a non-const pointer
}

}  // namespace aira
