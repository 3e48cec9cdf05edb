// The handler sets a flag and writes a byte into a pipe, so that a wait for input cannot miss it
// whichever thread the kernel hands the signal to.
#include "app/interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

#include "aira/error.h"

namespace aira {
namespace {

std::atomic<bool> flag{false};              // Ctrl-C
std::atomic<bool> terminal_changed{false};  // for redraw_hook
void (*redraw_hook)() = nullptr;
static_assert(std::atomic<bool>::is_always_lock_free);
int wake_read = -1;
int wake_write = -1;

extern "C" void on_signal(int signal) {
  const int saved = errno;
  (signal == SIGINT ? flag : terminal_changed).store(true, std::memory_order_relaxed);
  const char byte = 0;
  // A full pipe is as good as a written byte.
  [[maybe_unused]] const ssize_t written = ::write(wake_write, &byte, 1);
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

}  // namespace

void catch_interrupts() {
  struct sigaction old = {};
  if (::sigaction(SIGINT, nullptr, &old) == 0 && old.sa_handler == SIG_IGN) return;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    throw Error("No pipe for signals: " + std::generic_category().message(errno) + ".");
  }
  wake_read = ends[0];
  wake_write = ends[1];
  handle(SIGINT);
}

const std::atomic<bool>& interrupted() { return flag; }

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
  while (!flag) {
    if (terminal_changed.exchange(false)) {
      empty_pipe();
      redraw_hook();
      continue;  // a Ctrl-C's byte may have gone too
    }
    // Files and closed descriptors report at once: the read itself says what is the matter.
    if (::poll(both.data(), both.size(), -1) < 0 && errno != EINTR) return true;
    if (!flag && both[0].revents != 0) return true;
  }
  return false;
}

}  // namespace aira
