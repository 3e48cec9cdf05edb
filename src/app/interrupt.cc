// The handler sets a flag and an eventfd, so that no wait can miss the signal, whichever thread the
// kernel hands it to. After a Ctrl-C the eventfd stays set and wakes all.
#include "app/interrupt.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>

#include "aira/error.h"
#include "base/thread_pool.h"

namespace aira {
namespace {

std::atomic<bool> flag{false};              // interrupt()
std::atomic<int> received{0};               // the signal that interrupted, of several the gravest
std::atomic<bool> terminal_changed{false};  // for wait_readable
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);
int wake = -1;  // an eventfd

/// An eventfd; reading one that is not set does not block.
int new_event() {
  const int event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event < 0) {
    throw Error("[E175] Making an eventfd failed: {}.", {system_message(errno)});
  }
  return event;
}

/// Safe in a signal handler.
void set(int event) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event, &one, sizeof one);
}

/// Keeps the wake-up of an interrupt().
void reset_wake() {
  eventfd_t count = 0;
  ::eventfd_read(wake, &count);
  if (flag) set(wake);
}

extern "C" void on_signal(int signal) {
  const int saved = errno;
  if (signal == SIGCONT || signal == SIGWINCH) {
    terminal_changed = true;
  } else {
    if (signal != SIGINT || !terminated()) received = signal;
    flag = true;
  }
  set(wake);
  errno = saved;
}

}  // namespace

void catch_interrupts() {
  wake = new_event();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCONT, SIGWINCH}) {
    struct sigaction action = {};
    ::sigaction(signal, nullptr, &action);
    if (action.sa_handler == SIG_IGN) continue;
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;  // waits end by the eventfd
    ::sigaction(signal, &action, nullptr);
  }
}

void interrupt() {
  flag = true;
  set(wake);
}

bool interrupted() { return flag; }

bool terminated() { return received == SIGTERM || received == SIGHUP; }

void end_by_signal() {
  if (received == 0) return;
  std::signal(received, SIG_DFL);
  std::raise(received);
}

void clear_interrupt() {
  int ctrl_c = SIGINT;
  received.compare_exchange_strong(ctrl_c, 0);
  flag = false;
  if (terminated()) flag = true;
  reset_wake();
}

bool wait_readable(int fd, void (*redraw)()) {
  std::array<pollfd, 2> both{pollfd{fd, POLLIN, 0}, pollfd{wake, POLLIN, 0}};
  while (!flag) {
    if (terminal_changed.exchange(false) && redraw != nullptr) redraw();
    // Files and closed descriptors report at once: the read itself says what is the matter.
    if (::poll(both.data(), both.size(), -1) < 0 && errno != EINTR) return true;
    if (!flag && both[0].revents != 0) return true;
    if (both[1].revents != 0) reset_wake();
  }
  return false;
}

bool wait_writable(int fd) {
  constexpr int kPatience = 1000;  // milliseconds
  std::array<pollfd, 2> both{pollfd{fd, POLLOUT, 0}, pollfd{wake, POLLIN, 0}};
  for (;;) {
    const bool last = flag;
    const int ready = ::poll(both.data(), last ? 1 : both.size(), last ? kPatience : -1);
    // What is the matter with a descriptor, the write itself says.
    if (ready < 0 && errno != EINTR) return true;
    if (ready > 0 && both[0].revents != 0) return true;
    if (ready == 0) return false;
    if (ready > 0) reset_wake();
  }
}

OnInterrupt::OnInterrupt(std::function<void()> act,
                         std::optional<std::chrono::milliseconds> patience)
    : end_(new_event()) {
  thread_ = new_thread([this, act = std::move(act), patience] {
    if (wait_readable(end_.get())) return;
    act();
    pollfd end{end_.get(), POLLIN, 0};
    if (patience && ::poll(&end, 1, static_cast<int>(patience->count())) == 0) end_by_signal();
  });
}

OnInterrupt::~OnInterrupt() {
  set(end_.get());  // and the thread is waited for
}

}  // namespace aira
