// Guarded memory (guarded.h).
#include "guarded.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace cuda_on_host {
namespace {

constexpr std::uint8_t kGuard = 0xa5;
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kGuardBytes = 0;
#else
constexpr std::size_t kGuardBytes = 64;
#endif

// Guard bytes before the memory, a multiple of its alignment.
std::size_t front(std::size_t alignment) {
  return kGuardBytes == 0 ? 0 : std::max(kGuardBytes, alignment);
}

}  // namespace

void* guarded_alloc(std::size_t bytes, std::size_t alignment) {
  void* memory = nullptr;
  const std::size_t before = front(alignment);
  if (posix_memalign(&memory, alignment, before + bytes + kGuardBytes) != 0) return nullptr;
  auto* const first = static_cast<std::uint8_t*>(memory) + before;
  std::memset(first - kGuardBytes, kGuard, kGuardBytes);
  std::memset(first, 0xff, bytes);
  std::memset(first + bytes, kGuard, kGuardBytes);
  return first;
}

bool guards_intact(const void* memory, std::size_t bytes) {
  const auto* const first = static_cast<const std::uint8_t*>(memory);
  const auto intact = [](const std::uint8_t* guard) {
    return std::all_of(guard, guard + kGuardBytes, [](std::uint8_t b) { return b == kGuard; });
  };
  return intact(first - kGuardBytes) && intact(first + bytes);
}

void guarded_free(void* memory, std::size_t alignment) {
  std::free(static_cast<std::uint8_t*>(memory) - front(alignment));
}

}  // namespace cuda_on_host
