// Memory as the running thread sees it: the block's shared objects, copies that are on their way,
// and the wait for the kernels before.
#include "guarded.h"
#include "scheduler.h"
#include "vocabulary.h"

namespace cuda_on_host {
namespace {

constexpr std::size_t kSharedAlignment = 128;
constexpr std::size_t kStaticSharedMost = std::size_t{48} << 10;
constexpr std::size_t kSharedMost = std::size_t{227} << 10;

// The dynamic memory's key.
constexpr char kDynamic = 0;

// Allocates on the scheduler's behalf: what it knows is what every thread of the grid knows.
void* add_shared(Block& block, const void* key, std::size_t bytes) {
  std::size_t of_this_kind = bytes;
  std::size_t all = bytes;
  for (int i = 0; i < block.shared_count; ++i) {
    const SharedObject& object = block.shared[i];
    all += object.bytes;
    if ((object.key == &kDynamic) == (key == &kDynamic)) of_this_kind += object.bytes;
  }
  if (key != &kDynamic && of_this_kind > kStaticSharedMost) {
    fail("more than 48 KB of block_shared; larger needs block_shared_dynamic");
  }
  if (all > kSharedMost) fail("more than 227 KB of shared memory");
  if (block.shared_count == Block::kMostShared) fail("more than 16 block_shared objects");
  void* memory = nullptr;
  {
    const As scheduler(grid->launcher);
    memory = guarded_alloc(bytes, kSharedAlignment);
    grid->clocks.start.release();
  }
  if (memory == nullptr) fail("no host memory for shared memory");
  block.shared[block.shared_count++] = {key, memory, bytes};
  return memory;
}

}  // namespace

const Actor& janitor() {
  static const Actor& actor = *new Actor;
  return actor;
}

void* shared_memory(const void* key, std::size_t bytes, std::size_t alignment) {
  if (alignment > kSharedAlignment) fail("block_shared of more than 128-byte alignment");
  Block& block = *thread->block;
  for (int i = 0; i < block.shared_count; ++i) {
    if (block.shared[i].key == key) {
      grid->clocks.start.acquire();
      return block.shared[i].memory;
    }
  }
  void* const memory = add_shared(block, key, bytes);
  grid->clocks.start.acquire();
  return memory;
}

void* dynamic_shared_memory() {
  if (grid->shape.shared_bytes == 0) fail("block_shared_dynamic, but the launch gave no bytes");
  return shared_memory(&kDynamic, grid->shape.shared_bytes, 16);
}

void free_shared(Block& block) {
  for (int i = 0; i < block.shared_count; ++i) {
    const SharedObject& object = block.shared[i];
    if (!grid->failed && !guards_intact(object.memory, object.bytes)) {
      grid->failed = true;
      grid->failure = "block " + text(block.index) + " wrote outside its shared memory of " +
                      std::to_string(object.bytes) + " bytes";
    }
    const As janitors(janitor());
    grid->clocks.done.acquire();
    guarded_free(object.memory, kSharedAlignment);
  }
  block.shared_count = 0;
}

void remember_copy(CopyEnds ends) {
  if ((reinterpret_cast<std::uintptr_t>(ends.to) | reinterpret_cast<std::uintptr_t>(ends.from)) %
          16 !=
      0) {
    fail(text(*thread) +
         " starts an asynchronous copy whose addresses are not on 16-byte boundaries");
  }
  AsyncCopies& copies = thread->copies;
  if (copies.end - copies.oldest == AsyncCopies::kMost) {
    fail(text(*thread) + " has more than 64 asynchronous copies on their way");
  }
  copies.ring[copies.end++ % AsyncCopies::kMost] = {ends, copies.open_group};
}

void copy_async_commit() { ++thread->copies.open_group; }

void check_bulk_copies(std::uint64_t missing) {
  if (missing != 0) fail(text(*thread) + " waits for bulk copies that are not what it expects");
}

bool next_copy(int groups, CopyEnds& ends) {
  AsyncCopies& copies = thread->copies;
  if (copies.oldest == copies.end) return false;
  const AsyncCopy& copy = copies.ring[copies.oldest % AsyncCopies::kMost];
  if (copy.group >= copies.open_group - groups) return false;
  ends = copy.ends;
  ++copies.oldest;
  return true;
}

void grid_dependency_wait() {
  if (grid->awaited != nullptr) grid->awaited->done.acquire();
}

}  // namespace cuda_on_host
