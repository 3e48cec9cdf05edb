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
  explicit LineQueue(std::size_t most) : most_(most) {}

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

}  // namespace aira
