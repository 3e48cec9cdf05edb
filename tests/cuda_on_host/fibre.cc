// Switching stacks. Relies on the two calling conventions: which registers a call preserves.
#include "fibre.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <new>

#include "order.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// void aira_switch_stack(void** save, void* load): pushes what a call preserves, stores the stack
// pointer in *save and goes on where `load` was stored.
#if defined(__x86_64__)
asm(R"(
.text
.globl aira_switch_stack
.hidden aira_switch_stack
.type aira_switch_stack, @function
aira_switch_stack:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size aira_switch_stack, . - aira_switch_stack
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl aira_switch_stack
.hidden aira_switch_stack
.type aira_switch_stack, %function
aira_switch_stack:
  stp x29, x30, [sp, #-160]!
  stp x19, x20, [sp, #16]
  stp x21, x22, [sp, #32]
  stp x23, x24, [sp, #48]
  stp x25, x26, [sp, #64]
  stp x27, x28, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #16]
  ldp x21, x22, [sp, #32]
  ldp x23, x24, [sp, #48]
  ldp x25, x26, [sp, #64]
  ldp x27, x28, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  ldp x29, x30, [sp], #160
  ret
.size aira_switch_stack, . - aira_switch_stack
)");
#else
#error "cuda_on_host switches stacks on x86-64 and aarch64 only"
#endif
extern "C" void aira_switch_stack(void** save, void* load);

#ifdef AIRA_TSAN
// Each fibre has a history of its own, so a short one suffices; there may be a thousand of them. At
// exit there is no thread to wait for.
extern "C" const char* __tsan_default_options() { return "history_size=0:atexit_sleep_ms=0"; }
#endif

namespace cuda_on_host {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kStackBytes = std::size_t{256} << 10;
#else
constexpr std::size_t kStackBytes = std::size_t{128} << 10;
#endif

Fibre* running = nullptr;
void* scheduler_pointer = nullptr;
#ifdef __SANITIZE_ADDRESS__
const void* scheduler_stack = nullptr;
std::size_t scheduler_stack_bytes = 0;
#endif
#ifdef AIRA_TSAN
void* scheduler_race_fibre = nullptr;
#endif

std::size_t page_bytes() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

Fibre::Fibre(void (*body)()) : body_(body) {
  const std::size_t bytes = kStackBytes + page_bytes();
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  stack_ = static_cast<char*>(memory);
  mprotect(stack_, page_bytes(), PROT_NONE);
  // The first resume "returns" into loop(), with the stack as it is at a function's entry.
  // Stacks begin at different cache lines, or all of them would compete for the same few.
  static std::size_t made = 0;
  const std::size_t offset = made++ % 128 * 128;
  auto* top = reinterpret_cast<std::uint64_t*>(stack_ + bytes - offset);
  const auto entry = reinterpret_cast<std::uint64_t>(&Fibre::loop);
#if defined(__x86_64__)
  top[-2] = entry;
  stack_pointer_ = top - 8;
#else
  stack_pointer_ = top - 20;
  top[-19] = entry;  // x30
#endif
#ifdef AIRA_TSAN
  race_fibre_ = __tsan_create_fiber(0);
#endif
}

Fibre::~Fibre() {
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(stack_ + page_bytes(), kStackBytes);
#endif
#ifdef AIRA_TSAN
  __tsan_destroy_fiber(race_fibre_);
#endif
  munmap(stack_, kStackBytes + page_bytes());
}

void Fibre::resume() {
  running = this;
#ifdef AIRA_TSAN
  scheduler_race_fibre = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(race_fibre_, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef __SANITIZE_ADDRESS__
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, stack_ + page_bytes(), kStackBytes);
#endif
  aira_switch_stack(&scheduler_pointer, stack_pointer_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
}

void Fibre::suspend() {
  Fibre* const self = running;
#ifdef AIRA_TSAN
  __tsan_switch_to_fiber(scheduler_race_fibre, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&self->fake_stack_, scheduler_stack, scheduler_stack_bytes);
#endif
  aira_switch_stack(&self->stack_pointer_, scheduler_pointer);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(self->fake_stack_, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

void Fibre::release(Clock& clock) const {
#ifdef AIRA_TSAN
  void* const before = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(race_fibre_, __tsan_switch_to_fiber_no_sync);
  clock.release();
  __tsan_switch_to_fiber(before, __tsan_switch_to_fiber_no_sync);
#else
  static_cast<void>(clock);
#endif
}

void Fibre::loop() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
  for (;;) {
    running->body_();
    suspend();
  }
}

Fibre* FibrePool::take(std::size_t block_threads) {
  if constexpr (kDetectsRaces) {
    const std::size_t enough = std::max<std::size_t>(block_threads, 512);
    must_rest_ = std::max(must_rest_, std::min(2 * block_threads, enough));
  }
  if (resting_.size() - oldest_ <= must_rest_) return new Fibre(body_);
  if constexpr (kDetectsRaces) {
    Fibre* const fibre = resting_[oldest_++];
    if (oldest_ == 4096) {
      resting_.erase(resting_.begin(), resting_.begin() + static_cast<std::ptrdiff_t>(oldest_));
      oldest_ = 0;
    }
    return fibre;
  }
  Fibre* const fibre = resting_.back();
  resting_.pop_back();
  return fibre;
}

void FibrePool::give_back(Fibre* fibre) { resting_.push_back(fibre); }

}  // namespace cuda_on_host
