// Opening does not block on a pipe, and the open file is checked, not its name, so a file swapped
// between two calls cannot slip through.
#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {

std::optional<File> map_file(const std::string& path) {
  const auto fail = [&](const std::string& what) {
    throw Error(printable(path) + " " + what + ".");
  };
  const auto reason = [] { return std::generic_category().message(errno); };
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info = {};
  if (fd.get() < 0) {
    if (errno != ENOENT) fail("cannot be opened: " + reason());
    if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
    fail("is a link to a file that is not there (was a download interrupted?)");
  }
  if (::fstat(fd.get(), &info) != 0) fail("cannot be read: " + reason());
  if (S_ISDIR(info.st_mode)) fail("is a folder, but a file was expected");
  if (!S_ISREG(info.st_mode)) fail("is not a regular file");
  if (info.st_size == 0) fail("is empty");
  const auto size = static_cast<std::size_t>(info.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) fail("cannot be mapped into memory: " + reason());
  const std::shared_ptr<const void> owner(data, [size](void* p) { ::munmap(p, size); });
  return File{path, {owner, static_cast<const std::byte*>(data)}, size};
}

}  // namespace aira
