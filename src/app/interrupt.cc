// The handler sets a flag and writes a byte into a pipe, so that no wait can miss the signal,
// whichever thread the kernel hands it to. The byte of a Ctrl-C stays in the pipe and wakes all.
#include "app/interrupt.h"

#include <fcntl.h>
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

namespace aira {
namespace {

std::atomic<bool> flag{false};              // Ctrl-C
std::atomic<bool> stopped{false};           // stop_waiting()
std::atomic<bool> terminal_changed{false};  // for redraw_hook
void (*redraw_hook)() = nullptr;
static_assert(std::atomic<bool>::is_always_lock_free);
int wake_read = -1;
int wake_write = -1;

void wake() {
  const char byte = 0;
  // A full pipe is as good as a written byte.
  [[maybe_unused]] const ssize_t written = ::write(wake_write, &byte, 1);
}

extern "C" void on_signal(int signal) {
  const int saved = errno;
  (signal == SIGINT ? flag : terminal_changed).store(true, std::memory_order_relaxed);
  wake();
  errno = saved;
}

void handle(int signal) {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // waits end by the pipe
  ::sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
}

void empty_pipe() {
  std::array<char, 64> bytes{};
  while (wake_read >= 0 && ::read(wake_read, bytes.data(), bytes.size()) > 0) {
  }
}

Error failure(const char* what) {
  return Error(std::string(what) + " failed: " + std::generic_category().message(errno) + ".");
}

}  // namespace

void catch_interrupts() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) throw failure("Making a pipe");
  wake_read = ends[0];
  wake_write = ends[1];
  struct sigaction old = {};
  if (::sigaction(SIGINT, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) return;
  handle(SIGINT);
}

bool interrupted() { return flag; }

void clear_interrupt() {
  flag = false;
  empty_pipe();
}

void redraw_with(void (*redraw)()) {
  redraw_hook = redraw;
  handle(SIGCONT);
  handle(SIGWINCH);
}

bool wait_readable(int fd) {
  std::array<pollfd, 2> both{pollfd{fd, POLLIN, 0}, pollfd{wake_read, POLLIN, 0}};
  while (!flag && !stopped) {
    if (terminal_changed.exchange(false)) {
      empty_pipe();
      redraw_hook();
      continue;  // a Ctrl-C's byte may have gone too
    }
    // Files and closed descriptors report at once: the read itself says what is the matter.
    if (::poll(both.data(), both.size(), -1) < 0 && errno != EINTR) return true;
    if (!flag && !stopped && both[0].revents != 0) return true;
  }
  return false;
}

void stop_waiting() {
  stopped = true;
  wake();
}

OnInterrupt::OnInterrupt(std::function<void()> act) : end_(::eventfd(0, EFD_CLOEXEC)) {
  if (end_ < 0) throw failure("Making an eventfd");
  thread_ = std::thread([this, act = std::move(act)] { watch(act); });
}

OnInterrupt::~OnInterrupt() {
  ::eventfd_write(end_, 1);
  thread_.join();
  ::close(end_);
}

void OnInterrupt::watch(const std::function<void()>& act) const {
  std::array<pollfd, 2> both{pollfd{end_, POLLIN, 0}, pollfd{wake_read, POLLIN, 0}};
  while (::poll(both.data(), both.size(), -1) < 0 || both[0].revents == 0) {
    if (flag) return act();
    if (stopped) both[1].fd = -1;
    // Otherwise the terminal changed: the next wait_readable sees the flag.
    else if (both[1].revents != 0)
      empty_pipe();
  }
}

}  // namespace aira
