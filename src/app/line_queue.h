// The queue between the thread that reads lines and the one that prints their answers.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

namespace aira {

/// Waits for a line's answer and prints it, on the printing thread. Throws Error when the line
/// fails.
using PrintAnswer = std::function<void()>;

/// Lines on their way from the reading to the printing thread.
class LineQueue {
 public:
  LineQueue(std::size_t most, std::size_t most_bytes) : most_(most), most_bytes_(most_bytes) {}

  /// Waits for room: for one more, and until those before it take less than `most_bytes` together.
  /// False when the queue is closed.
  bool push(PrintAnswer line, std::size_t bytes) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || (lines_.size() < most_ && bytes_ < most_bytes_); });
    if (!closed_) {
      lines_.emplace_back(std::move(line), bytes);
      bytes_ += bytes;
    }
    changed_.notify_all();
    return !closed_;
  }
  /// Waits for the next line; null when the queue is closed and empty.
  PrintAnswer pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !lines_.empty(); });
    if (lines_.empty()) return nullptr;
    auto [line, bytes] = std::move(lines_.front());
    lines_.pop_front();
    bytes_ -= bytes;
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
  const std::size_t most_bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<PrintAnswer, std::size_t>> lines_;
  std::size_t bytes_ = 0;  // of lines_
  bool closed_ = false;
};

}  // namespace aira
