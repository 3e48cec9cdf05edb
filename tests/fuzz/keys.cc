// What a terminal sends, in pieces as they arrive.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/key_reader.h"
#include "base/utf8.h"
#include "fuzz.h"

using namespace aira;

namespace {

/// Makes stdin a connection on which `pieces` have come, each to be read by itself, and then the
/// end.
void set_stdin(const std::vector<std::string>& pieces) {
  int ends[2];
  FUZZ_CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  for (const std::string& piece : pieces) {
    FUZZ_CHECK(::send(ends[1], piece.data(), piece.size(), 0) == std::ssize(piece));
  }
  ::close(ends[1]);
  ::dup2(ends[0], STDIN_FILENO);
  ::close(ends[0]);
}

}  // namespace

FUZZ_TARGET(keys) {
  fuzz::Choices choices(input);
  std::vector<std::string> pieces;
  while (!choices.used_up() && pieces.size() < 30) {
    if (std::string piece = choices.text(250); !piece.empty()) pieces.push_back(std::move(piece));
  }
  set_stdin(pieces);
  KeyReader reader([] {});
  for (std::size_t keys = 0;; ++keys) {
    FUZZ_CHECK(keys <= input.size() + 1);
    const Key key = reader.next();
    if (key.kind == Key::Kind::kEnd || key.kind == Key::Kind::kStopped) break;
    FUZZ_CHECK(key.text.size() <= 3 * input.size());
    if (key.kind != Key::Kind::kText) continue;
    FUZZ_CHECK(valid_utf8(key.text) == key.text && key.text.find('\0') == std::string::npos);
    if (!key.sound) reader.skip_line();
  }
}
