// libedit knows no pastes, and what an escape sequence that it does not know holds is typed as
// letters; so sequences are taken apart here.
#include "app/key_reader.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "app/interrupt.h"
#include "base/utf8.h"

namespace aira {
namespace {

constexpr char kEscape = '\x1b';
constexpr std::string_view kPasteStart = "[200~";
constexpr std::string_view kPasteEnd = "\x1b[201~";
constexpr int kAfterEscape = 50;   // milliseconds until ESC was a key of its own
constexpr int kInSequence = 1000;  // until a sequence is given up
constexpr std::size_t kMany = 64;  // letters at once that nobody has typed

/// The length of the escape sequence that `bytes` begins with (ESC [ or ESC O, ECMA-48); 0 while it
/// goes on.
std::size_t sequence_length(std::string_view bytes) {
  if (bytes.starts_with("\x1b[[")) return bytes.size() > 3 ? 4 : 0;  // F1 to F5 on a Linux console
  for (std::size_t i = 2; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (byte >= 0x40 && byte < 0x7F) return i + 1;
    if (byte < 0x20 || byte >= 0x7F) return i;  // broken off
  }
  return 0;
}

/// A pasted text with \n as its line breaks and a blank for each tab. A terminal in libedit's mode
/// swaps \r and \n.
std::string normalized(std::string_view pasted) {
  std::string text;
  text.reserve(pasted.size());
  for (std::size_t at = 0; at < pasted.size(); ++at) {
    const char byte = pasted[at];
    const char next = at + 1 < pasted.size() ? pasted[at + 1] : '\0';
    if ((byte == '\r' || byte == '\n') && next != byte && (next == '\r' || next == '\n')) ++at;
    text += byte == '\r' ? '\n' : byte == '\t' ? ' ' : byte;
  }
  return text;
}

Key text_key(std::string_view bytes, bool pasted) {
  std::string text = valid_utf8(bytes);
  const bool sound = text == bytes && text.find('\0') == std::string::npos;
  std::replace(text.begin(), text.end(), '\0', '?');
  return {.kind = Key::Kind::kText, .text = std::move(text), .pasted = pasted, .sound = sound};
}

}  // namespace

/// Waits for more bytes; false at the end of the input and when interrupted.
bool KeyReader::fill() {
  bytes_.erase(0, std::exchange(at_, 0));
  const std::size_t before = bytes_.size();
  while (wait_readable(STDIN_FILENO, redraw_)) {
    bytes_.resize(before + 4096);
    const ssize_t got = ::read(STDIN_FILENO, bytes_.data() + before, 4096);
    const int problem = errno;
    bytes_.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
    if (got > 0) return true;
    if (got < 0 && (problem == EINTR || problem == EAGAIN)) continue;
    ended_ = true;
    return false;
  }
  bytes_.clear();  // Ctrl-C drops what was typed ahead, as terminals do
  return false;
}

bool KeyReader::more_within(int milliseconds) {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  return ::poll(&input, 1, milliseconds) > 0 && fill();
}

Key KeyReader::next() {
  const auto over = [&] { return Key{ended_ ? Key::Kind::kEnd : Key::Kind::kStopped}; };
  if (at_ == bytes_.size() && !fill()) return over();
  if (bytes_[at_] == kEscape) return escape();
  const auto ends = [](char byte) {
    return (static_cast<unsigned char>(byte) < 0x20 && byte != '\t') || byte == '\x7f';
  };
  const auto begin = bytes_.begin() + static_cast<std::ptrdiff_t>(at_);
  const auto many = static_cast<std::size_t>(std::find_if(begin, bytes_.end(), ends) - begin);
  if (many >= kMany) return many_letters(many);
  Utf8Step step;
  while ((step = utf8_step(std::string_view(bytes_).substr(at_))).kind == Utf8Kind::kUnfinished) {
    if (!fill()) return over();
  }
  at_ += step.length;
  const bool c1 = step.code >= 0x80 && step.code < 0xA0;  // no key: libedit has codes of its own
  if (step.kind == Utf8Kind::kBroken || c1) return {Key::Kind::kBroken};
  return {Key::Kind::kLetter, step.code};
}

/// As many whole letters of the next `length` bytes.
Key KeyReader::many_letters(std::size_t length) {
  std::string whole;
  const std::string_view bytes = std::string_view(bytes_).substr(at_, length);
  const std::size_t used =
      length < bytes_.size() - at_ ? length : append_whole_letters(bytes, whole);
  at_ += used;
  return text_key(normalized(bytes.substr(0, used)), false);
}

Key KeyReader::escape() {
  for (;;) {
    if (bytes_.size() - at_ == 1 && !more_within(kAfterEscape)) {
      at_ = bytes_.size();
      return {Key::Kind::kLetter, kEscape};
    }
    if (bytes_[at_ + 1] != kEscape) break;
    ++at_;  // Alt and a key
  }
  const char second = bytes_[at_ + 1];
  if (second == '\n' || second == '\r') {
    at_ += 2;
    return {Key::Kind::kNewLine};
  }
  if (second != '[' && second != 'O') {  // Alt and a letter
    ++at_;
    return {Key::Kind::kLetter, kEscape};
  }
  std::size_t length = 0;
  while ((length = sequence_length(std::string_view(bytes_).substr(at_))) == 0) {
    if (more_within(kInSequence)) continue;
    at_ = bytes_.size();
    return next();
  }
  std::string sequence = bytes_.substr(at_ + 1, length - 1);
  at_ += length;
  if (sequence == kPasteStart) return paste();
  return {.kind = Key::Kind::kSequence, .text = std::move(sequence)};
}

Key KeyReader::paste() {
  std::string text;
  while (!text.ends_with(kPasteEnd)) {
    if (at_ == bytes_.size() && !fill()) {
      return {ended_ ? Key::Kind::kEnd : Key::Kind::kStopped};
    }
    // Too long: only whether it ends is of interest.
    if (text.size() > kLongestQuestion + 2 * kPasteEnd.size()) {
      text.erase(kLongestQuestion, 1);
    }
    text += bytes_[at_++];
  }
  text.resize(text.size() - kPasteEnd.size());
  return text_key(normalized(text), true);
}

void KeyReader::skip_line() {
  const auto in_line = [&] {
    at_ = std::min(bytes_.find_first_of("\r\n", at_), bytes_.size());
    return at_ == bytes_.size();
  };
  while (in_line() && fill()) {
  }
  if (at_ < bytes_.size()) ++at_;
}

}  // namespace aira
