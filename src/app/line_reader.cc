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

LineReader::LineReader(const std::optional<std::string>& path)
    : name_(path.value_or("-") == "-" ? "stdin" : quote(*path, 4096)),
      file_(name_ == "stdin" ? ::dup(STDIN_FILENO) : ::open(path->c_str(), O_RDONLY | O_CLOEXEC)) {
  if (file_.get() < 0) throw failure("Opening " + name_);
  struct stat status {};
  if (::fstat(file_.get(), &status) == 0 && S_ISREG(status.st_mode)) size_ = status.st_size;
}

/// Reads more into pending_. False at the end of the input and when interrupted.
bool LineReader::fill() {
  pending_.erase(0, std::exchange(position_, 0));
  const std::size_t before = pending_.size();
  if (before > kLongestLine) {
    throw Error("Line " + std::to_string(number_ + 1) + " of " + name_ + " is longer than 64 MiB.");
  }
  ssize_t got = -1;
  do {
    if (!wait_readable(file_.get())) return false;
    pending_.resize(before + kChunk);
    got = ::read(file_.get(), pending_.data() + before, kChunk);
    pending_.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
  } while (got < 0 && (errno == EINTR || errno == EAGAIN));
  if (got < 0) throw failure("Reading " + name_);
  ended_ = got == 0;
  read_ += got;
  return !ended_;
}

double LineReader::fraction_read() const {
  if (size_ == 0) return 0;
  const auto left = static_cast<std::int64_t>(pending_.size() - position_);
  return std::min(1.0, static_cast<double>(read_ - left) / static_cast<double>(size_));
}

std::optional<std::string> LineReader::next() {
  if (interrupted()) return std::nullopt;
  std::size_t end = pending_.find('\n', position_);
  while (end == std::string::npos && !ended_) {
    const std::size_t searched = pending_.size() - position_;
    if (!fill() && !ended_) return std::nullopt;
    end = pending_.find('\n', searched);
  }
  if (end == std::string::npos && position_ == pending_.size()) return std::nullopt;
  std::string line = pending_.substr(position_, end - position_);
  position_ = end == std::string::npos ? pending_.size() : end + 1;
  crlf_ = line.ends_with('\r');
  if (crlf_) line.pop_back();
  ++number_;
  return line;
}

}  // namespace aira
