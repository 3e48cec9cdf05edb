// Where the engine's thread leaves what a request yields, and its listener's thread finds it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "aira/engine.h"
#include "run/task.h"

namespace aira {

/// A request's mailbox: events go in on the engine's thread and run on the listener's.
struct Ticket::State {
  explicit State(Listener given) : listener(std::move(given)) {}

  const Listener listener;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> events;
  bool over = false;
  // The engine's thread alone touches this.
  std::shared_ptr<Task> task;

  void post(std::function<void()> event) {
    {
      const std::lock_guard lock(mutex);
      events.push_back(std::move(event));
    }
    changed.notify_all();
  }
  void close() {
    {
      const std::lock_guard lock(mutex);
      over = true;
    }
    changed.notify_all();
  }
  /// Runs the next event, if need be after waiting for it; false when there is none (yet).
  bool run_next(bool waits) {
    std::function<void()> event;
    {
      std::unique_lock lock(mutex);
      if (waits) changed.wait(lock, [&] { return over || !events.empty(); });
      if (events.empty()) return false;
      event = std::move(events.front());
      events.pop_front();
    }
    event();
    return true;
  }
};

}  // namespace aira
