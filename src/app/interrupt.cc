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

std::atomic<bool> flag{false};
static_assert(std::atomic<bool>::is_always_lock_free);
int wake_read = -1;
int wake_write = -1;

extern "C" void on_sigint(int /*signal*/) {
  const int saved = errno;
  flag.store(true, std::memory_order_relaxed);
  const char byte = 0;
  // A full pipe is as good as a written byte.
  [[maybe_unused]] const ssize_t written = ::write(wake_write, &byte, 1);
  errno = saved;
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
  struct sigaction action = {};
  action.sa_handler = on_sigint;  // without SA_RESTART: the line editor's read must return
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
}

const std::atomic<bool>& interrupted() { return flag; }

void clear_interrupt() {
  flag = false;
  std::array<char, 64> bytes{};
  while (wake_read >= 0 && ::read(wake_read, bytes.data(), bytes.size()) > 0) {
  }
}

bool wait_readable(int fd) {
  std::array<pollfd, 2> both{pollfd{fd, POLLIN, 0}, pollfd{wake_read, POLLIN, 0}};
  while (!flag) {
    // Files and closed descriptors report at once: the read itself says what is the matter.
    if (::poll(both.data(), both.size(), -1) < 0 && errno != EINTR) return true;
    if (!flag && both[0].revents != 0) return true;
  }
  return false;
}

}  // namespace aira
