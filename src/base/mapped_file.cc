// Opening does not block on a pipe, and the open file is checked, not its name, so a file swapped
// between two calls cannot slip through.
#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>

#include "aira/error.h"
#include "base/lost_pages.h"
#include "base/printable.h"

namespace aira {
namespace {

/// Owns a mapping, and tells it from memory of other kinds, which would lose what is in it.
struct Unmap {
  std::size_t size;
  std::shared_ptr<void> watched;
  void operator()(const void* data) {
    watched.reset();
    ::munmap(const_cast<void*>(data), size);
  }
};

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void advise(const std::shared_ptr<const std::byte>& data, std::size_t bytes, int advice) {
  if (std::get_deleter<Unmap>(data) == nullptr) return;
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto* begin = data.get();
  begin -= reinterpret_cast<std::uintptr_t>(begin) % page;
  ::madvise(const_cast<std::byte*>(begin), static_cast<std::size_t>(data.get() + bytes - begin),
            advice);
}

}  // namespace

FileStamp stamp_of(const struct stat& info) {
  return {.device = info.st_dev,
          .inode = info.st_ino,
          .size = static_cast<std::uint64_t>(info.st_size),
          .modified = nanoseconds(info.st_mtim),
          .changed = nanoseconds(info.st_ctim)};
}

void read_ahead(const std::shared_ptr<const std::byte>& data, std::size_t bytes) {
  advise(data, bytes, MADV_WILLNEED);
}

void give_back(const std::shared_ptr<const std::byte>& data, std::size_t bytes) {
  advise(data, bytes, MADV_DONTNEED);
}

std::optional<File> map_file(const std::string& path) {
  const std::string name = printable(path);
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info = {};
  if (fd.get() < 0) {
    if (errno != ENOENT)
      throw Error("[E310] {} cannot be opened: {}.", {name, system_message(errno)});
    if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
    throw Error("[E311] {} is a link to a file that is not there (was a download interrupted?).",
                {name});
  }
  if (::fstat(fd.get(), &info) != 0) {
    throw Error("[E312] {} cannot be read: {}.", {name, system_message(errno)});
  }
  if (S_ISDIR(info.st_mode)) throw Error("[E313] {} is a folder, but a file was expected.", {name});
  if (!S_ISREG(info.st_mode)) throw Error("[E314] {} is not a regular file.", {name});
  if (info.st_size == 0) throw Error("[E315] {} is empty.", {name});
  const auto size = static_cast<std::size_t>(info.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) {
    throw Error("[E316] {} cannot be mapped into memory: {}.", {name, system_message(errno)});
  }
  const std::shared_ptr<const void> owner(data, Unmap{size, watch_mapping(data, size, path)});
  return File{path, {owner, static_cast<const std::byte*>(data)}, size, stamp_of(info)};
}

}  // namespace aira
