// The warp's operations: what each lane brings and what it takes away. They run once for all lanes,
// in the lane that comes last.
#include "collectives.h"

#include <bit>

#include "atomics.h"
#include "scheduler.h"

namespace cuda_on_host {
namespace {

struct ExchangeFrame {
  std::uint64_t value;
  int source;
  std::uint64_t result;
};

ExchangeFrame& exchange_frame(const Thread& lane) {
  return *static_cast<ExchangeFrame*>(lane.frame);
}

void complete_exchange(Thread* lanes, unsigned members) {
  for (unsigned left = members; left != 0; left &= left - 1) {
    Thread& lane = lanes[std::countr_zero(left)];
    ExchangeFrame& frame = exchange_frame(lane);
    if (frame.source < 0 || frame.source > 31 || (members >> frame.source & 1U) == 0) {
      fail(text(lane) + " reads lane " + std::to_string(frame.source) + " in a shuffle at " +
           text(lane.where) + ", which has ended or is not in the mask; the value is undefined");
    }
    frame.result = exchange_frame(lanes[frame.source]).value;
  }
}

void complete_ballot(Thread* lanes, unsigned members) {
  unsigned votes = 0;
  for (unsigned left = members; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    if (exchange_frame(lanes[lane]).value != 0) votes |= 1U << lane;
  }
  for (unsigned left = members; left != 0; left &= left - 1) {
    exchange_frame(lanes[std::countr_zero(left)]).result = votes;
  }
}

void complete_match(Thread* lanes, unsigned members) {
  for (unsigned left = members; left != 0; left &= left - 1) {
    ExchangeFrame& frame = exchange_frame(lanes[std::countr_zero(left)]);
    unsigned equal = 0;
    for (unsigned others = members; others != 0; others &= others - 1) {
      const int other = std::countr_zero(others);
      if (exchange_frame(lanes[other]).value == frame.value) equal |= 1U << other;
    }
    frame.result = equal;
  }
}

constexpr WarpOperation kBarrier = {"__syncwarp", nullptr};
constexpr WarpOperation kExchange = {"a shuffle", complete_exchange};
constexpr WarpOperation kBallot = {"a vote", complete_ballot};
constexpr WarpOperation kMatch = {"__match_any_sync", complete_match};

}  // namespace

void warp_barrier(unsigned mask, Where where) { together(kBarrier, mask, nullptr, true, where); }

std::uint64_t exchange(unsigned mask, std::uint64_t value, int source, Where where) {
  ExchangeFrame frame = {value, source, 0};
  together(kExchange, mask, &frame, false, where);
  return frame.result;
}

unsigned ballot(unsigned mask, bool predicate, Where where) {
  ExchangeFrame frame = {predicate ? 1U : 0U, 0, 0};
  together(kBallot, mask, &frame, false, where);
  return static_cast<unsigned>(frame.result);
}

unsigned match(unsigned mask, std::uint64_t value, Where where) {
  ExchangeFrame frame = {value, 0, 0};
  together(kMatch, mask, &frame, false, where);
  return static_cast<unsigned>(frame.result);
}

// Any set of lanes that contains the caller is a right answer; code that needs more is wrong.
unsigned active_lanes() { return 1U << thread->lane; }

int lane() { return thread->lane; }

void thread_fence() { thread->fenced = true; }

bool before_atomic() {
  if (random_bits() % 8 == 0) {
    make_ready(*thread->block, thread->warp, 1U << thread->lane);
    Fibre::suspend();
  }
  const bool fenced = thread->fenced;
  thread->fenced = false;
  return fenced;
}

}  // namespace cuda_on_host
