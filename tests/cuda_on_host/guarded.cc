// Guarded memory (guarded.h).
#include "guarded.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace cuda_on_host {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kGuardBytes = 0;
#else
constexpr std::size_t kGuardBytes = 64;
#endif

// Guard bytes before the memory, a multiple of its alignment.
std::size_t front(std::size_t alignment) {
  return kGuardBytes == 0 ? 0 : std::max(kGuardBytes, alignment);
}

// A NaN as a float, a half or a bfloat16, so that reading it spoils a result, and another at each
// address, so that copying it is seen.
std::uint8_t guard_byte(const std::uint8_t* at) {
  const auto address = reinterpret_cast<std::uintptr_t>(at);
  if (address % 2 != 0) return 0x7f;
  return static_cast<std::uint8_t>(0x80U | (address * 0x9e3779b97f4a7c15ULL >> 57) | 1U);
}

}  // namespace

void* guarded_alloc(std::size_t bytes, std::size_t alignment) {
  void* memory = nullptr;
  const std::size_t before = front(alignment);
  if (posix_memalign(&memory, alignment, before + bytes + kGuardBytes) != 0) return nullptr;
  auto* const first = static_cast<std::uint8_t*>(memory) + before;
  std::memset(first, 0xff, bytes);
  set_guards(first, bytes);
  return first;
}

void set_guards(void* memory, std::size_t bytes) {
  auto* const first = static_cast<std::uint8_t*>(memory);
  for (std::size_t i = 0; i < kGuardBytes; ++i) {
    auto* const before = first - kGuardBytes + i;
    auto* const after = first + bytes + i;
    *before = guard_byte(before);
    *after = guard_byte(after);
  }
}

bool guards_intact(const void* memory, std::size_t bytes) {
  const auto* const first = static_cast<const std::uint8_t*>(memory);
  const auto intact = [](const std::uint8_t* guard) {
    for (const std::uint8_t* at = guard; at != guard + kGuardBytes; ++at) {
      if (*at != guard_byte(at)) return false;
    }
    return true;
  };
  return intact(first - kGuardBytes) && intact(first + bytes);
}

void guarded_free(void* memory, std::size_t alignment) {
  std::free(static_cast<std::uint8_t*>(memory) - front(alignment));
}

}  // namespace cuda_on_host
