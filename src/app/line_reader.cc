#include "app/line_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "app/interrupt.h"
#include "app/output.h"
#include "base/printable.h"

namespace aira {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 16;
constexpr std::size_t kLongestLine = std::size_t{64} << 20;

}  // namespace

LineReader::LineReader(const std::optional<std::string>& path, char end)
    : name_(path.value_or("-") == "-" ? "stdin" : quote(*path, 4096)),
      file_(name_ == "stdin" ? ::dup(STDIN_FILENO) : ::open(path->c_str(), O_RDONLY | O_CLOEXEC)),
      end_(end) {
  if (file_.get() < 0) {
    throw Error("[E160] Opening {} failed: {}.", {name_, system_message(errno)});
  }
  struct stat status {};
  if (::fstat(file_.get(), &status) == 0 && S_ISREG(status.st_mode)) size_ = status.st_size;
}

std::string LineReader::place(std::int64_t number) const {
  return message(end_ == '\0' ? to_translate("text {} of {}") : to_translate("line {} of {}"),
                 {std::to_string(number), name_});
}

/// Reads more into pending_. False at the end of the input and when interrupted.
bool LineReader::fill() {
  pending_.erase(0, std::exchange(position_, 0));
  const std::size_t before = pending_.size();
  ssize_t got = -1;
  do {
    if (!wait_readable(file_.get())) return false;
    pending_.resize(before + kChunk);
    got = ::read(file_.get(), pending_.data() + before, kChunk);
    pending_.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
  } while (got < 0 && (errno == EINTR || errno == EAGAIN));
  if (got < 0) {
    throw Error("[E169] Reading {} failed: {}.", {name_, system_message(errno)});
  }
  ended_ = got == 0;
  read_ += got;
  format_.convert(pending_, before, ended_);
  return !ended_;
}

double LineReader::fraction_read() const {
  if (size_ == 0) return 0;
  const auto left = static_cast<std::int64_t>(pending_.size() - position_);
  return std::clamp(static_cast<double>(read_ - left) / static_cast<double>(size_), 0.0, 1.0);
}

/// Reads to the end of the line, npos where it has none, and leaves out what is too long. False
/// when interrupted.
bool LineReader::find_end(std::size_t& end) {
  too_long_ = false;
  end = pending_.find(end_, position_);
  while (end == std::string::npos && !ended_) {
    std::size_t searched = pending_.size() - position_;
    if (too_long_ || searched > kLongestLine) {
      too_long_ = true;
      pending_.clear();
      position_ = searched = 0;
    }
    if (!fill() && !ended_) return false;
    end = pending_.find(end_, searched);
  }
  if (too_long_) position_ = std::min(end, pending_.size());
  return true;
}

std::optional<std::string> LineReader::next() {
  std::size_t end = 0;
  if (interrupted() || !find_end(end)) return std::nullopt;
  if (end == std::string::npos && position_ == pending_.size() && !too_long_) return std::nullopt;
  const bool has_end = end != std::string::npos;
  end = std::min(end, pending_.size());
  const std::size_t next = std::min(end + 1, pending_.size());
  std::string line;
  if (position_ == 0 && pending_.size() - next <= kChunk) {  // a long line is not copied
    line = pending_.substr(next);
    line.swap(pending_);
    line.resize(end);
  } else {
    line = pending_.substr(position_, end - position_);
    position_ = next;
  }
  crlf_ = end_ == '\n' && line.ends_with('\r');
  if (crlf_) line.pop_back();
  // One at the beginning of a later line: files that were written one after the other.
  if (line.starts_with(kByteOrderMark)) {
    line.erase(0, kByteOrderMark.size());
    if (line.empty() && !has_end) return std::nullopt;
  }
  ++number_;
  return line;
}

std::string LineReader::rest() {
  while (!ended_ && fill()) {
  }
  std::string text = std::exchange(pending_, {}).substr(std::exchange(position_, 0));
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  check(text, number_ + 1);
  return text;
}

void LineReader::require_fit() const {
  if (too_long_) throw Error("[E100] This line is longer than 64 MiB.");
}

void LineReader::check(std::string_view text, std::int64_t first_number) const {
  const std::size_t at = find_no_text(text);
  if (at == std::string_view::npos) return;
  const std::string_view before = text.substr(0, at);
  const std::size_t start = before.rfind('\n') + 1;  // 0 without one
  const std::string where =
      place(first_number + (end_ == '\n' ? std::count(before.begin(), before.end(), '\n') : 0));
  if (format_.is_utf16() && text[at] == '\0') {
    throw Error(
        "[E101] {}: there is a NUL character, so this is no text in UTF-16; if it is UTF-32, "
        "convert it with iconv -f UTF-32 -t UTF-8.",
        {where});
  }
  if (format_.is_utf16()) {
    throw Error("[E102] {}: half a character; the UTF-16 text is broken here.", {where});
  }
  if (text[at] == '\0') {
    throw Error(
        "[E103] {}: there is a NUL byte, so this is no text; if it is UTF-16, convert it with "
        "iconv -f UTF-16LE -t UTF-8.",
        {where});
  }
  throw Error(
      "[E104] {}: this is not UTF-8 (byte {} is {}); if it is Latin-1 or Windows-1252, convert it "
      "with iconv -f WINDOWS-1252 -t UTF-8.",
      {where, std::to_string(at - start + 1),
       format("0x%02X", static_cast<unsigned char>(text[at]))});
}

}  // namespace aira
