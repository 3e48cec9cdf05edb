// Requests to a Scheduler and what has come of them, for tests.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "run/scheduler.h"

namespace aira {

struct Pending {
  std::shared_ptr<Task> task;
  std::vector<Answer> answers;        // finished, in order
  std::vector<std::string> streamed;  // text of each answer, as it came
  Score score;
  std::optional<std::string> problem;

  bool done() const { return task->done(); }
};

/// A Pending in which everything is that its task has yielded by now.
struct PendingPointer {
  std::shared_ptr<Pending> pending;

  Pending* operator->() const {
    pending->task->run_events(false);
    return pending.get();
  }
};

/// Submits a request; the result must be kept until it is done.
inline PendingPointer ask(Scheduler& scheduler, const Request& request) {
  const auto pending = std::make_shared<Pending>();
  Listener listener;
  listener.text = [to = std::weak_ptr(pending)](std::size_t answer, std::string_view piece) {
    std::vector<std::string>& streamed = to.lock()->streamed;
    if (streamed.size() <= answer) streamed.resize(answer + 1);
    streamed[answer] += piece;
  };
  listener.finished = [to = std::weak_ptr(pending)](std::size_t, const Answer& answer) {
    to.lock()->answers.push_back(answer);
  };
  listener.scored = [to = std::weak_ptr(pending)](const Score& score) { to.lock()->score = score; };
  listener.failed = [to = std::weak_ptr(pending)](const Error& error) {
    to.lock()->problem = error.what();
  };
  pending->task = scheduler.make_task(request, std::move(listener));
  scheduler.submit(pending->task);
  return {pending};
}

}  // namespace aira
