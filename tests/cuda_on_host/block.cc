// Barriers of a block, and what a warp does together: who has come, who must come still, and when
// everyone goes on.
#include <bit>
#include <string_view>

#include "collectives.h"
#include "scheduler.h"

namespace cuda_on_host {
namespace {

bool strict_exit = false;

constexpr const char* kVoteNames[] = {"__syncthreads", "__syncthreads_or", "__syncthreads_and",
                                      "__syncthreads_count"};

bool same(Where a, Where b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::string_view(a.file_name()) == b.file_name());
}

// Everyone who lives has arrived.
void open_barrier(Block& block) {
  switch (static_cast<BlockVote>(block.vote)) {
    case BlockVote::kNone:
      break;
    case BlockVote::kAny:
      block.vote_result = block.true_votes > 0;
      break;
    case BlockVote::kAll:
      block.vote_result = block.true_votes == block.arrived;
      break;
    case BlockVote::kCount:
      block.vote_result = block.true_votes;
      break;
  }
  block.arrived = 0;
  block.true_votes = 0;
  for (std::size_t i = 0; i < block.warps.size(); ++i) {
    if (block.warps[i].live != 0) {
      make_ready(block, static_cast<int>(i), block.warps[i].live);
    }
  }
}

Thread* lanes_of(Block& block, int warp) {
  return &block.threads[static_cast<std::size_t>(warp) * 32];
}

// Whether all lanes of the caller's mask that live wait in the same operation, itself included.
bool all_are_here(Thread* lanes, const Warp& warp, const Thread& caller) {
  const unsigned needed = caller.mask & warp.live;
  if ((needed & ~warp.waiting) != 0) return false;
  for (unsigned left = needed & ~(1U << caller.lane); left != 0; left &= left - 1) {
    const Thread& other = lanes[std::countr_zero(left)];
    if (other.operation == caller.operation && other.mask == caller.mask &&
        same(other.where, caller.where)) {
      continue;
    }
    // Either may still be right if the other does not wait for this one.
    if ((other.mask >> caller.lane & 1U) == 0) return false;
    fail(text(caller) + " is in " + caller.operation->name + " at " + text(caller.where) +
         ", but lane " + std::to_string(other.lane) + ", which its mask names, is in " +
         other.operation->name + " at " + text(other.where));
  }
  return true;
}

void complete(Block& block, int warp, unsigned members) {
  Thread* const lanes = lanes_of(block, warp);
  const WarpOperation* operation = lanes[std::countr_zero(members)].operation;
  if (operation->complete != nullptr) operation->complete(lanes, members);
  make_ready(block, warp, members);
  block.warps[static_cast<std::size_t>(warp)].waiting &= ~members;
  for (unsigned left = members; left != 0; left &= left - 1) {
    Thread& lane = lanes[std::countr_zero(left)];
    lane.state = State::kReady;
    ++lane.warp_rounds;
  }
}

// The clock of the meeting that the running thread joins: the first to come brings one of its own.
Clock* warp_clock(const Warp& warp) {
  if constexpr (!kDetectsRaces) return nullptr;
  const Thread& self = *thread;
  const Thread* const lanes = lanes_of(*self.block, self.warp);
  for (unsigned left = self.mask & warp.waiting; left != 0; left &= left - 1) {
    const Thread& other = lanes[std::countr_zero(left)];
    if (other.mask == self.mask && other.operation == self.operation) {
      return other.clock;
    }
  }
  return &self.block->clocks->warp[self.warp][self.lane][self.warp_rounds % 2];
}

}  // namespace

void set_strict_exit(bool strict) { strict_exit = strict; }

int block_barrier(BlockVote vote, bool predicate, Where where) {
  Block& block = *thread->block;
  const char* const name = kVoteNames[static_cast<int>(vote)];
  if (block.arrived > 0 && (block.vote != static_cast<int>(vote) || !same(block.where, where))) {
    fail(text(*thread) + " is in " + name + " at " + text(where) + " while " +
         std::to_string(block.arrived) + " of its block are in " + kVoteNames[block.vote] + " at " +
         text(block.where) + "; a barrier must be the same one for all threads");
  }
  if (strict_exit && block.live != static_cast<int>(block.threads.size())) {
    fail(text(*thread) + " is in " + name + " at " + text(where) + ", but " +
         std::to_string(static_cast<int>(block.threads.size()) - block.live) +
         " threads of its block have ended before that barrier");
  }
  block.where = where;
  block.vote = static_cast<int>(vote);
  ++block.arrived;
  block.true_votes += predicate ? 1 : 0;
  Clock* clock = nullptr;
  if constexpr (kDetectsRaces) {
    clock = &block.clocks->barrier[block.round % 2];
    clock->release();
  }
  if (block.arrived == block.live) {
    ++block.round;
    open_barrier(block);
  }
  thread->state = State::kAtBarrier;
  thread->where = where;
  Fibre::suspend();
  thread->state = State::kReady;
  if (clock != nullptr) clock->acquire();
  return block.vote_result;
}

void together(const WarpOperation& operation, unsigned mask, void* frame, bool orders,
              Where where) {
  Thread& self = *thread;
  Block& block = *self.block;
  Warp& warp = block.warps[static_cast<std::size_t>(self.warp)];
  self.operation = &operation;
  self.mask = mask;
  self.frame = frame;
  self.where = where;
  if ((mask >> self.lane & 1U) == 0) {
    fail(text(self) + " calls " + operation.name + " at " + text(where) +
         " with a mask that does not name its own lane " + std::to_string(self.lane));
  }
  Clock* const clock = orders ? warp_clock(warp) : nullptr;
  if (clock != nullptr) clock->release();
  self.clock = clock;
  self.state = State::kInWarp;
  warp.waiting |= 1U << self.lane;
  if (all_are_here(lanes_of(block, self.warp), warp, self)) {
    complete(block, self.warp, mask & warp.live);
  }
  Fibre::suspend();
  if (clock != nullptr) clock->acquire();
}

void end_thread() {
  Block& block = *thread->block;
  Warp& warp = block.warps[static_cast<std::size_t>(thread->warp)];
  thread->state = State::kEnded;
  warp.live &= ~(1U << thread->lane);
  --block.live;
  if (block.arrived > 0 && block.arrived == block.live) {
    ++block.round;
    if (strict_exit) {
      fail(text(*thread) + " has ended while the rest of its block waits in " +
           kVoteNames[block.vote] + " at " + text(block.where));
    }
    open_barrier(block);
  }
  // Lanes that waited for this one only.
  Thread* const lanes = lanes_of(block, thread->warp);
  for (unsigned left = warp.waiting; left != 0; left &= left - 1) {
    const Thread& other = lanes[std::countr_zero(left)];
    if ((other.mask >> thread->lane & 1U) != 0 && all_are_here(lanes, warp, other)) {
      complete(block, other.warp, other.mask & warp.live);
      return;
    }
  }
}

}  // namespace cuda_on_host
