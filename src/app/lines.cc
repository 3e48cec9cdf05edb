#include "app/lines.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "app/interrupt.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t kChunk = std::size_t{1} << 16;
constexpr std::size_t kLongestLine = std::size_t{64} << 20;
constexpr std::size_t kWindowPerSequence = 16;

/// Lines on their way from the reading to the printing thread.
class Queue {
 public:
  explicit Queue(std::size_t most) : most_(most) {}

  /// Waits for room. False when the queue is closed.
  bool push(PrintAnswer line) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || lines_.size() < most_; });
    if (!closed_) lines_.push_back(std::move(line));
    changed_.notify_all();
    return !closed_;
  }
  /// Waits for the next line; null when the queue is closed and empty.
  PrintAnswer pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !lines_.empty(); });
    if (lines_.empty()) return nullptr;
    PrintAnswer line = std::move(lines_.front());
    lines_.pop_front();
    changed_.notify_all();
    return line;
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<PrintAnswer> lines_;
  bool closed_ = false;
};

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
  if (line.ends_with('\r')) line.pop_back();
  ++number_;
  return line;
}

/// Calls `begin` for each line and, on the printing thread, what it returned. False after Ctrl-C.
bool LineLoop::each_line(Engine* engine, std::int64_t sequences, const Begin& begin) {
  catch_interrupts();
  progress_.start();
  Queue queue(kWindowPerSequence * static_cast<std::size_t>(sequences));
  std::exception_ptr reading_failed, printing_failed;
  std::thread printer([&] {
    try {
      while (const PrintAnswer line = interrupted() ? nullptr : queue.pop()) line();
    } catch (...) {
      printing_failed = std::current_exception();
      interrupt();
    }
    queue.close();
  });
  const OnInterrupt cancels([engine] {
    if (engine != nullptr) engine->cancel_all();
  });
  try {
    while (const std::optional<std::string> line = lines_.next()) {
      PrintAnswer answer = [this, print = begin(*line), read = lines_.fraction_read()] {
        print();
        if (!interrupted()) progress_.line_done(read);
      };
      if (engine == nullptr) {
        answer();  // there is nothing to wait for
      } else if (!queue.push(std::move(answer))) {
        break;
      }
    }
  } catch (...) {
    reading_failed = std::current_exception();
  }
  queue.close();
  printer.join();
  if (printing_failed) std::rethrow_exception(printing_failed);
  if (interrupted()) return false;
  if (reading_failed) std::rethrow_exception(reading_failed);
  return true;
}

void LineLoop::print_line(const std::string& text) {
  print(text + "\n");
  ++printed_;
}

int LineLoop::run(Engine* engine, std::int64_t sequences, std::int64_t answers,
                  const Begin& begin) {
  int code = kDone;
  const auto begin_line = [&](const std::string& line) -> PrintAnswer {
    PrintAnswer answer;
    std::optional<Error> problem = problem_in([&] { answer = begin(line); });
    return [&, number = lines_.number(), answer, problem]() mutable {
      printed_ = 0;
      if (!problem) problem = problem_in(answer);
      if (interrupted()) return;
      if (problem) {
        progress_.clear();
        report_error("line " + std::to_string(number) + ": " + problem->what());
        code = kFailed;
      }
      print(std::string(static_cast<std::size_t>(answers - printed_), '\n'));
    };
  };
  return each_line(engine, sequences, begin_line) ? code : kInterrupted;
}

int LineLoop::run_json(const std::string& model, Engine* engine, std::int64_t sequences,
                       const BeginJson& begin) {
  std::int64_t failed = 0;
  const auto begin_line = [&](const std::string& text) -> PrintAnswer {
    const auto result = std::make_shared<ordered_json>(ordered_json::object());
    json id;
    PrintAnswer answer;
    std::optional<Error> problem = problem_in([&] {
      const json line = parse_json(text, "The line");
      static_cast<void>(JsonObject(line, "The line"));  // throws when it is none
      if (line.contains("id")) (*result)["id"] = id = line["id"];
      (*result)["model"] = model;
      answer = begin(line, *result);
    });
    return [&failed, id, result, answer, problem]() mutable {
      if (!problem) problem = problem_in(answer);
      if (interrupted()) return;
      if (problem) {
        *result = {{"id", id}, {"error", {{"message", problem->with_fields()}}}};
        ++failed;
      }
      print_json(*result);
    };
  };
  if (!each_line(engine, sequences, begin_line)) return kInterrupted;
  if (failed == 0) return kDone;
  progress_.clear();
  report_error(std::to_string(failed) + " of " + std::to_string(lines_.number()) +
               " lines failed; their \"error\" says why.");
  return kFailed;
}

}  // namespace aira
