// mmap, madvise and mremap.
#include "base/huge_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <mutex>
#include <string>
#include <system_error>

namespace aira {
namespace {

/// Below this the translations of all pages stay in the processor.
constexpr std::size_t kMatters = std::size_t{16} << 20;
/// What copying costs, in passes over small pages, and what is read in a nanosecond meanwhile.
/// Measured on two cores of a Xeon: a token of GPT-2 small in int8 3.8 ms, in 2 MB pages 3.1 ms,
/// copying 30 ms (in f16 9.8, 8.0 and 55 ms).
constexpr std::size_t kPasses = 48;
constexpr std::size_t kBytesPerNanosecond = 35;

constexpr std::size_t round_up(std::size_t bytes) {
  return (bytes + kHugePage - 1) / kHugePage * kHugePage;
}

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
  std::size_t kilobytes = 0;
  for (std::string word; smaps >> word;) {
    if (word == "FilePmdMapped:" && smaps >> kilobytes) break;
  }
  return kilobytes * 1024;
}

}  // namespace

std::shared_ptr<std::byte> allocate_huge_pages(std::size_t bytes) {
  const std::size_t length = round_up(bytes);
  auto memory = reserve(length, PROT_READ | PROT_WRITE);
  if (memory) madvise(memory.get(), length, MADV_HUGEPAGE);
  return memory;
}

std::shared_ptr<SettlingFile> SettlingFile::map(int fd, std::size_t bytes,
                                                const std::string& path) {
  auto place = reserve(round_up(bytes), PROT_NONE);
  if (!place) return nullptr;
  if (mmap(place.get(), bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
    return nullptr;
  }
  madvise(place.get(), bytes, MADV_HUGEPAGE);  // what is not in the system's cache comes in as such
#ifdef MADV_POPULATE_READ
  // A page fault for every 64 kB, which reading causes otherwise, takes twice the time.
  madvise(place.get(), bytes, MADV_POPULATE_READ);
#endif
  return std::shared_ptr<SettlingFile>(new SettlingFile(std::move(place), bytes, path));
}

void SettlingFile::start() {
  if (bytes_ < kMatters) return;
  const auto work = [this](const std::stop_token& stop) {
    const std::chrono::nanoseconds delay(bytes_ * kPasses / kBytesPerNanosecond);
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any().wait_for(lock, stop, delay, [] { return false; });
    // Some file systems keep files in 2 MB pages.
    if (huge_file_bytes() < bytes_ - bytes_ / 16) settle(stop);
  };
  try {
    settler_ = std::jthread(work);
  } catch (const std::system_error&) {
    // No thread is to be had: small pages are slower, and that is all.
  }
}

void SettlingFile::settle(const std::stop_token& stop) {
#ifdef MREMAP_DONTUNMAP
  const auto page = allocate_huge_pages(kHugePage);
  if (!page) return;
  for (std::size_t begin = 0; begin < bytes_ && !stop.stop_requested(); begin += kHugePage) {
    std::byte* to = place_.get() + begin;
    std::memcpy(page.get(), to, std::min(bytes_ - begin, kHugePage));
    // The system changes the mapping while it holds the lock that a reader's page fault waits for,
    // so readers never see a hole. The moved page leaves an empty one behind, for the next round.
    if (mremap(page.get(), kHugePage, kHugePage, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
               to) == MAP_FAILED) {
      return;
    }
    mprotect(to, kHugePage, PROT_READ);
  }
#endif
}

}  // namespace aira
