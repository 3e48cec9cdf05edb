// mmap, madvise and pread; what the system made of it is in /proc/self/smaps_rollup.
#include "base/huge_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>

namespace aira {
namespace {

/// Below this the translations of all pages stay in the processor.
constexpr std::size_t kMatters = std::size_t{16} << 20;

/// Address space for `bytes` that begins on a 2 MB boundary, given back with its last owner.
std::shared_ptr<std::byte> reserve(std::size_t bytes, int protection) {
  const std::size_t length = bytes + kHugePage;
  void* memory = mmap(nullptr, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  const std::shared_ptr<void> owner(memory, [length](void* p) { munmap(p, length); });
  const std::size_t skip = -reinterpret_cast<std::uintptr_t>(memory) % kHugePage;
  return {owner, static_cast<std::byte*>(memory) + skip};
}

/// Bytes of files that this process has mapped in 2 MB pages.
std::size_t huge_file_bytes() {
  std::ifstream smaps("/proc/self/smaps_rollup");
  std::string word;
  while (smaps >> word) {
    std::size_t kilobytes = 0;
    if (word == "FilePmdMapped:" && smaps >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

/// Fills [begin, end) of `memory` from the file; false when that fails.
bool read_part(int fd, std::byte* memory, std::size_t begin, std::size_t end) {
  while (begin < end) {
    const std::size_t wanted = std::min(end - begin, kHugePage);
    const ssize_t got = pread(fd, memory + begin, wanted, static_cast<off_t>(begin));
    if (got == 0 || (got < 0 && errno != EINTR)) return false;
    if (got > 0) begin += static_cast<std::size_t>(got);
  }
  return true;
}

}  // namespace

std::shared_ptr<std::byte> allocate_huge_pages(std::size_t bytes) {
  const std::size_t length = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  auto memory = reserve(length, PROT_READ | PROT_WRITE);
  if (memory) madvise(memory.get(), length, MADV_HUGEPAGE);
  return memory;
}

std::shared_ptr<const std::byte> read_in_huge_pages(int fd, std::size_t bytes) {
  const auto memory = allocate_huge_pages(bytes);
  if (!memory) return nullptr;
  // Most of the time goes into zeroing pages: two threads halve it, more find no memory bandwidth.
  const std::size_t middle = bytes / 2 / kHugePage * kHugePage;
  std::atomic<bool> good = true;
  std::thread second([&] {
    if (!read_part(fd, memory.get(), middle, bytes)) good = false;
  });
  if (!read_part(fd, memory.get(), 0, middle)) good = false;
  second.join();
  if (!good) return nullptr;
  return memory;
}

std::shared_ptr<const std::byte> map_in_huge_pages(int fd, std::size_t bytes) {
  const auto place = reserve(bytes, PROT_NONE);
  if (!place) return nullptr;
  if (mmap(place.get(), bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
    return nullptr;
  }
  if (bytes < kMatters) return place;
  madvise(place.get(), bytes, MADV_HUGEPAGE);  // what is not in the system's cache comes in as such
#ifdef MADV_POPULATE_READ
  madvise(place.get(), bytes, MADV_POPULATE_READ);  // 0.1 ms in 2 MB pages, 4 ms in small ones
#endif
  if (huge_file_bytes() >= bytes / 2) return place;
  const auto copy = read_in_huge_pages(fd, bytes);
  return copy ? copy : place;
}

}  // namespace aira
