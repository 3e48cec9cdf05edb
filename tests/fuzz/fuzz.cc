#include "fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "aira/error.h"
#include "base/utf8.h"

namespace aira::fuzz {

Target::Target(const char* the_name, void (*the_run)(std::string_view input))
    : name(the_name), run(the_run) {
  targets().push_back(this);
}

std::vector<const Target*>& targets() {
  static std::vector<const Target*> all;
  return all;
}

bool accepts(const std::function<void()>& action) {
  try {
    action();
    return true;
  } catch (const Error& error) {
    const std::string sentence = error.what();
    const bool one_line = std::none_of(sentence.begin(), sentence.end(), [](char c) {
      return (static_cast<unsigned char>(c) < 0x20) || c == 0x7F;
    });
    FUZZ_CHECK(!sentence.empty() && one_line && valid_utf8(sentence) == sentence);
    return false;
  }
}

std::vector<std::string> parts_of(std::string_view input, std::size_t count) {
  std::vector<std::string> parts(count);
  for (std::size_t i = 0; i + 1 < count; ++i) {
    const std::size_t length = std::min(input.find('\xFF'), input.size());
    parts[i] = input.substr(0, length);
    input.remove_prefix(std::min(length + 1, input.size()));
  }
  parts.back() = input;
  return parts;
}

std::uint8_t Choices::byte() {
  if (rest_.empty()) return 0;
  const auto first = static_cast<std::uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return first;
}

std::string Choices::text(std::size_t most) {
  const std::size_t wanted = byte() % (most + 1);
  const std::size_t length = std::min(wanted, rest_.size());
  std::string text(rest_.substr(0, length));
  rest_.remove_prefix(length);
  return text;
}

void failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, condition);
  std::abort();
}

}  // namespace aira::fuzz
