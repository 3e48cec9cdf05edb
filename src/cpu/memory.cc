// aligned_alloc and blocks of huge pages, with owners.
#include "cpu/memory.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "aira/error.h"
#include "base/huge_pages.h"
#include "cpu/kernels.h"

namespace aira::cpu {
namespace {

constexpr std::int64_t kLine = 64;  // bytes; a cache line, a whole AVX-512 vector
constexpr std::int64_t kBlock = std::int64_t{128} << 20;  // address space; touched as it is used

[[noreturn]] void out_of_memory(std::int64_t bytes) {
  throw Error(
      "[E510] Out of memory: {} MiB more could not be allocated; try a smaller --batch, --dtype "
      "int8 or a smaller model.",
      {std::to_string((bytes + (1 << 20) - 1) >> 20)});
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
    const std::int64_t length =
        round_up(std::max(size, kBlock), static_cast<std::int64_t>(kHugePage));
    block_ = allocate_huge_pages(static_cast<std::size_t>(length));
    if (!block_) out_of_memory(length);
    used_ = 0;
    size_ = length;
  }
  Buffer part(block_, block_.get() + used_);
  used_ += size;
  return part;
}

}  // namespace aira::cpu
