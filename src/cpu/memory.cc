// aligned_alloc and mmap with owners.
#include "cpu/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "aira/error.h"
#include "cpu/kernels.h"

namespace aira::cpu {
namespace {

constexpr std::int64_t kLine = 64;  // bytes; a cache line, a whole AVX-512 vector
constexpr std::int64_t kHugePage = std::int64_t{2} << 20;
constexpr std::int64_t kStretch = std::int64_t{32} << 20;  // address space; touched as it is used

[[noreturn]] void out_of_memory(std::int64_t bytes) {
  throw Error("Out of memory: " + std::to_string((bytes + (1 << 20) - 1) >> 20) +
              " MiB more could not be had; try a smaller model, or --dtype f16.");
}

}  // namespace

Buffer allocate(std::int64_t bytes) {
  const std::int64_t size = round_up(std::max<std::int64_t>(bytes, 1), kLine);
  void* memory = std::aligned_alloc(kLine, static_cast<std::size_t>(size));
  if (memory == nullptr) out_of_memory(bytes);
  return {memory, [](void* p) { std::free(p); }};
}

Buffer HugePageArena::allocate(std::int64_t bytes) {
  const std::int64_t size = round_up(std::max<std::int64_t>(bytes, 1), kLine);
  if (used_ + size > size_) {
    const std::int64_t length = round_up(std::max(size, kStretch), kHugePage);
    // One huge page more than asked for, to begin on a boundary of one.
    const auto mapped = static_cast<std::size_t>(length + kHugePage);
    void* memory =
        mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) out_of_memory(length);
    const std::shared_ptr<void> owner(memory, [mapped](void* p) { munmap(p, mapped); });
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    const std::uintptr_t skip = -address % static_cast<std::uintptr_t>(kHugePage);
    std::byte* begin = static_cast<std::byte*>(memory) + skip;
    madvise(begin, static_cast<std::size_t>(length),
            MADV_HUGEPAGE);  // a wish; small pages work too
    stretch_ = std::shared_ptr<std::byte>(owner, begin);
    used_ = 0;
    size_ = length;
  }
  Buffer part(stretch_, stretch_.get() + used_);
  used_ += size;
  return part;
}

}  // namespace aira::cpu
