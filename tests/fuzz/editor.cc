// Keys that are typed into the chat's line editor, on a pseudo-terminal.
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <thread>

#include "app/line_editor.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "model_fixtures.h"

using namespace aira;

// LeakSanitizer's, if it is linked in.
extern "C" __attribute__((weak)) void __lsan_disable();
extern "C" __attribute__((weak)) void __lsan_enable();

namespace {

/// A terminal whose user types `keys` and hangs up, and that forgets what is drawn.
class Typist {
 public:
  explicit Typist(std::string keys) {
    int terminal = -1;
    FUZZ_CHECK(::openpty(&screen_, &terminal, nullptr, nullptr, nullptr) == 0);
    termios mode{};
    ::tcgetattr(terminal, &mode);
    ::cfmakeraw(&mode);  // keys that come before the editor is ready are keys, too
    ::tcsetattr(terminal, TCSANOW, &mode);
    ::dup2(terminal, STDIN_FILENO);
    ::close(terminal);
    FUZZ_CHECK(::write(screen_, keys.data(), keys.size()) == std::ssize(keys));
    thread_ = std::thread([this] { run(); });
  }
  ~Typist() { thread_.join(); }

 private:
  void run() const {
    char some[4096];
    for (int left = 1;;) {
      pollfd drawn = {screen_, POLLIN, 0};
      if (::poll(&drawn, 1, 0) > 0 && ::read(screen_, some, sizeof some) > 0) continue;
      if (::ioctl(STDIN_FILENO, FIONREAD, &left) != 0 || left == 0) break;
      std::this_thread::yield();
    }
    ::close(screen_);
  }

  int screen_ = -1;
  std::thread thread_;
};

}  // namespace

FUZZ_TARGET(editor) {
  static const TemporaryFolder folder;
  ::setenv("HOME", folder.path().c_str(), 1);
  ::setenv("XDG_STATE_HOME", folder.path().c_str(), 1);
  ::setenv("TERM", "xterm-256color", 1);
  std::filesystem::remove_all(folder.path("aira-cli"));
  const Typist typist(std::string(input.substr(0, 2000)));
  if (__lsan_disable != nullptr) __lsan_disable();  // libedit loses the names of functions
  LineEditor editor([](std::string_view) { return std::vector<std::string>{"alpha", "alpine"}; });
  if (__lsan_enable != nullptr) __lsan_enable();
  while (const auto question = editor.read()) {
    FUZZ_CHECK(valid_utf8(*question) == *question && question->find('\0') == std::string::npos);
  }
}
