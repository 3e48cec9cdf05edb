// Choosing which thread runs next, from the first block to the last, and what to say when none can.
#include "scheduler.h"

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

uint3 threadIdx = {};
uint3 blockIdx = {};
dim3 blockDim;
dim3 gridDim;

namespace cuda_on_host {

Grid* grid = nullptr;
Thread* thread = nullptr;
Counts total;

namespace {

std::uint64_t first_seed() {
  const char* const text = std::getenv("AIRA_HOST_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

std::uint64_t seed_in_use = first_seed();
std::uint64_t random_state = seed_in_use;

// Thrown through a kernel by fail().
struct Abandoned {};

void thread_main() {
  grid->clocks.start.acquire();
  try {
    grid->thread_body();
    end_thread();
  } catch (const Abandoned&) {
    grid->failed = true;
  } catch (...) {
    grid->exception = std::current_exception();
    grid->failed = true;
  }
  grid->clocks.done.release();
}

FibrePool& pool() {
  static FibrePool& fibres = *new FibrePool(thread_main);  // lives to the end of the process
  return fibres;
}

// Blocks are kept for the next launch; their threads' vectors have their memory already.
std::vector<std::unique_ptr<Block>>& idle_blocks() {
  static auto& blocks = *new std::vector<std::unique_ptr<Block>>;
  return blocks;
}

uint3 index_of(std::uint32_t number, const dim3& extent) {
  return {number % extent.x, number / extent.x % extent.y, number / extent.x / extent.y};
}

std::uint32_t volume(const dim3& extent) { return extent.x * extent.y * extent.z; }

void reset_thread(Thread& one, Block& block, std::uint32_t number) {
  one.fibre = pool().take(block.threads.size());
  one.block = &block;
  one.index = index_of(number, grid->shape.block);
  one.warp = static_cast<int>(number / 32);
  one.lane = static_cast<int>(number % 32);
  one.state = State::kReady;
  one.fenced = false;
  one.warp_rounds = 0;
  one.copies.oldest = 0;
  one.copies.end = 0;
  one.copies.open_group = 0;
}

void start_block(std::uint32_t number) {
  std::unique_ptr<Block> owned;
  if (idle_blocks().empty()) {
    owned = std::make_unique<Block>();
  } else {
    owned = std::move(idle_blocks().back());
    idle_blocks().pop_back();
  }
  Block& block = *owned;
  const std::uint32_t threads = volume(grid->shape.block);
  block.index = index_of(number, grid->shape.grid);
  block.threads.resize(threads);
  block.warps.assign((threads + 31) / 32, Warp{});
  block.ready_warps = 0;
  for (std::uint32_t i = 0; i < threads; ++i) {
    reset_thread(block.threads[i], block, i);
    make_ready(block, static_cast<int>(i / 32), 1U << i % 32);
  }
  for (Warp& warp : block.warps) warp.live = warp.ready;
  block.live = static_cast<int>(threads);
  block.arrived = 0;
  block.true_votes = 0;
  block.round = 0;
  if constexpr (kDetectsRaces) block.clocks = new BlockClocks;
  grid->resident.push_back(owned.release());
  ++total.blocks;
  total.threads += threads;
}

void retire(Block& block) {
  for (Thread& one : block.threads) {
    if (one.state == State::kEnded && !grid->failed) {
      pool().give_back(one.fibre);
    } else {
      one.fibre->release(grid->clocks.done);
      delete one.fibre;  // what is on its stack may never end
    }
    one.fibre = nullptr;
  }
  delete block.clocks;
  block.clocks = nullptr;
  idle_blocks().emplace_back(&block);
  free_shared(block);
}

void resume(Thread& one) {
  thread = &one;
  threadIdx = one.index;
  blockIdx = one.block->index;
  ++total.switches;
  one.fibre->resume();
  thread = nullptr;
}

std::string who_waits(const Block& block) {
  std::map<std::string, int> places;
  for (const Thread& one : block.threads) {
    if (one.state == State::kEnded) {
      ++places["have ended"];
    } else {
      const bool barrier = one.state == State::kAtBarrier;
      ++places[std::string("wait in ") + (barrier ? "__syncthreads" : one.operation->name) +
               " at " + text(one.where)];
    }
  }
  std::string sentence;
  for (const auto& [place, count] : places) {
    sentence += (sentence.empty() ? "" : ", ") + std::to_string(count) + " " + place;
  }
  return sentence;
}

// One of the resident blocks that has a thread to run, or null.
Block* choose_block() {
  const std::size_t count = grid->resident.size();
  const std::size_t first = random_bits() % count;
  for (std::size_t i = 0; i < count; ++i) {
    Block* const block = grid->resident[(first + i) % count];
    if (block->ready_warps != 0) return block;
  }
  return nullptr;
}

// Runs threads of one warp until none is ready, or chance goes elsewhere.
void run_warp(Block& block) {
  const int number = random_bit(block.ready_warps);
  Warp& warp = block.warps[static_cast<std::size_t>(number)];
  do {
    const int lane = random_bit(warp.ready);
    warp.ready &= ~(1U << lane);
    if (warp.ready == 0) block.ready_warps &= ~(1U << number);
    resume(block.threads[static_cast<std::size_t>(number * 32 + lane)]);
  } while (!grid->failed && warp.ready != 0 && random_bits() % 64 != 0);
}

void run_blocks() {
  const std::uint32_t threads = volume(grid->shape.block);
  const std::size_t most = kDetectsRaces ? 2 : 4;
  const std::size_t together_at_most = threads > 512 ? 1 : (threads > 256 ? 2 : most);
  for (;;) {
    while (grid->resident.size() < together_at_most && !grid->order.empty()) {
      start_block(grid->order.back());
      grid->order.pop_back();
    }
    if (grid->resident.empty()) return;
    Block* const block = choose_block();
    if (block == nullptr) {
      const Block& stuck = *grid->resident.front();
      grid->failed = true;
      grid->failure =
          "block " + text(stuck.index) + " waits for ever: of its threads " + who_waits(stuck);
      return;
    }
    run_warp(*block);
    if (grid->failed) return;
    if (block->live == 0) {
      std::erase(grid->resident, block);
      retire(*block);
      if (grid->failed) return;
    }
  }
}

}  // namespace

void run(Grid& new_grid) {
  grid = &new_grid;
  blockDim = grid->shape.block;
  gridDim = grid->shape.grid;
  const std::uint32_t blocks = volume(grid->shape.grid);
  grid->order.resize(blocks);
  for (std::uint32_t i = 0; i < blocks; ++i) {
    const std::uint32_t other = random_bits() % (i + 1);
    grid->order[i] = grid->order[other];
    grid->order[other] = i;
  }
  ++total.kernels;
  run_blocks();
  for (Block* const block : grid->resident) retire(*block);
  grid = nullptr;
  if (new_grid.failed) new_grid.clocks.done.acquire();
  if (new_grid.exception) std::rethrow_exception(new_grid.exception);
  if (new_grid.failed) {
    throw KernelError(std::string("kernel ") + new_grid.shape.name + ": " + new_grid.failure);
  }
}

void fail(const std::string& sentence) {
  grid->failure = sentence;
  throw Abandoned{};
}

void make_ready(Block& block, int warp, unsigned lanes) {
  block.warps[static_cast<std::size_t>(warp)].ready |= lanes;
  block.ready_warps |= 1U << warp;
}

std::uint32_t random_bits() {  // splitmix64
  random_state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t bits = random_state;
  bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9ULL;
  bits = (bits ^ bits >> 27) * 0x94d049bb133111ebULL;
  return static_cast<std::uint32_t>(bits >> 32);
}

int random_bit(unsigned bits) {
  const int turn = static_cast<int>(random_bits() & 31U);
  return (std::countr_zero(std::rotr(bits, turn)) + turn) & 31;
}

std::string text(Where where) {
  const std::string path = where.file_name();
  return path.substr(path.rfind('/') + 1) + ":" + std::to_string(where.line());
}

std::string text(uint3 index) {
  char numbers[40];
  std::snprintf(numbers, sizeof numbers, "(%u,%u,%u)", index.x, index.y, index.z);
  return numbers;
}

std::string text(const Thread& one) {
  return "thread " + text(one.index) + " of block " + text(one.block->index);
}

void set_seed(std::uint64_t seed) {
  seed_in_use = seed;
  random_state = seed;
}

std::uint64_t seed() { return seed_in_use; }

Counts counts() { return total; }

}  // namespace cuda_on_host
