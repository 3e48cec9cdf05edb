// A running grid: its blocks, their warps and threads, and who waits for what. Which thread runs
// next is drawn from the seed at every switch; a thread runs until it waits, ends or meets an
// atomic operation. One grid runs at a time, on the host thread that launched it.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "control.h"
#include "fibre.h"
#include "order.h"
#include "runtime_api.h"
#include "source_location.h"
#include "vocabulary.h"

namespace cuda_on_host {

using Where = std::source_location;

struct Block;
struct Thread;

/// Something that the lanes of a mask do together. `complete` runs once, when all have arrived.
struct WarpOperation {
  const char* name;
  void (*complete)(Thread* lanes, unsigned members);
};

struct AsyncCopy {
  CopyEnds ends;
  int group;
};

/// Copies of one thread that have not arrived, oldest first, in a ring. No std container: those
/// call memmove and malloc, and ThreadSanitizer would take that for the thread's own doing.
struct AsyncCopies {
  static constexpr unsigned kMost = 64;
  AsyncCopy ring[kMost];
  unsigned oldest = 0;
  unsigned end = 0;
  int open_group = 0;
};

enum class State : std::uint8_t { kReady, kAtBarrier, kInWarp, kEnded };

struct Thread {
  Fibre* fibre = nullptr;
  Block* block = nullptr;
  uint3 index = {};
  int warp = 0;
  int lane = 0;
  State state = State::kReady;
  bool fenced = false;  // called a fence since its last atomic operation
  Where where;          // while it waits
  unsigned mask = 0;
  const WarpOperation* operation = nullptr;
  void* frame = nullptr;   // the operation's own, on the thread's stack
  Clock* clock = nullptr;  // of the meeting that it waits in
  unsigned warp_rounds = 0;
  AsyncCopies copies;
};

struct Warp {
  unsigned ready = 0;  // lanes
  unsigned live = 0;
  unsigned waiting = 0;  // in an operation of the warp
};

struct SharedObject {
  const void* key;
  void* memory;
  std::size_t bytes;
};

/// Clocks of one block, each for every other round: one thread may already be at the next barrier
/// when another has not left this one. A warp's belong to the lane that came first.
struct BlockClocks {
  Clock barrier[2];
  Clock warp[32][32][2];
};

struct Block {
  uint3 index = {};
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  unsigned ready_warps = 0;
  int live = 0;
  // The barrier that is being waited at.
  int arrived = 0;
  int true_votes = 0;
  Where where;
  int vote = 0;         // BlockVote
  int vote_result = 0;  // of the barrier before
  unsigned round = 0;
  static constexpr int kMostShared = 16;
  SharedObject shared[kMostShared];
  int shared_count = 0;
  BlockClocks* clocks = nullptr;
};

/// Clocks of one launch: what its threads know when they start, and what they did.
struct LaunchClocks {
  Clock start;
  Clock done;
};

struct Grid {
  const LaunchShape& shape;
  const std::function<void()>& thread_body;
  LaunchClocks& clocks;
  LaunchClocks* awaited;  // by grid_dependency_wait, or null
  const Actor& launcher;
  std::vector<std::uint32_t> order = {};  // of blocks; the last is next
  std::vector<Block*> resident = {};
  bool failed = false;
  std::string failure = {};
  std::exception_ptr exception = {};
};

extern Grid* grid;      // the running one
extern Thread* thread;  // the running one

/// Runs all of it, or throws KernelError.
void run(Grid& new_grid);

/// Ends the grid with this sentence about the running kernel; does not return.
[[noreturn]] void fail(const std::string& sentence);

void make_ready(Block& block, int warp, unsigned lanes);
/// The running thread is over: whoever waited for it only may go on.
void end_thread();

/// Of the running warp: waits for the mask's lanes and does `operation` with them.
void together(const WarpOperation& operation, unsigned mask, void* frame, bool orders, Where where);

/// What frees memory, after everyone who used it.
const Actor& janitor();
/// Checks the guards around the block's shared memory and frees it.
void free_shared(Block& block);

std::uint32_t random_bits();
/// A random one of the bits that are set.
int random_bit(unsigned bits);

std::string text(Where where);
std::string text(uint3 index);
std::string text(const Thread& one);

extern Counts total;

}  // namespace cuda_on_host
