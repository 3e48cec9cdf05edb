#include "app/answer_lines.h"

#include <cstddef>
#include <deque>
#include <optional>

#include "aira/error.h"
#include "app/commands.h"
#include "app/interrupt.h"

namespace aira {
namespace {

/// Lines whose answers may wait for an earlier one, for each sequence that can run.
constexpr std::size_t kWindowPerSlot = 16;

class Loop {
 public:
  Loop(LineReader& lines, Scheduler* scheduler, Progress& progress,
       const std::function<LineAnswer(const std::string& line)>& begin)
      : lines_(lines),
        scheduler_(scheduler),
        progress_(progress),
        begin_(begin),
        most_(scheduler == nullptr
                  ? 1
                  : kWindowPerSlot * static_cast<std::size_t>(scheduler->slots())) {}

  bool run() {
    for (;;) {
      read();
      if (interrupted()) return false;
      const bool worked = scheduler_ != nullptr && scheduler_->step();
      print();
      if (worked || !ended_ || !window_.empty()) continue;
      if (problem_) throw Error(*problem_);
      return true;
    }
  }

 private:
  /// Takes lines while there is room. Waits for one only when there is nothing else to do.
  void read() {
    while (!ended_ && !interrupted() && window_.size() < most_ &&
           (scheduler_ == nullptr || scheduler_->wants_more())) {
      const bool idle = window_.empty() && (scheduler_ == nullptr || scheduler_->idle());
      bool ready = idle;
      std::optional<std::string> line;
      // Where the input breaks off, what was asked before is answered first.
      problem_ = problem_in([&] {
        ready = ready || lines_.ready();
        if (ready) line = lines_.next();
      });
      ended_ = problem_ || (ready && !line);
      if (!line) return;
      window_.push_back(begin_(*line));
      print();
    }
  }

  void print() {
    while (!window_.empty() && window_.front()()) {
      window_.pop_front();
      progress_.line_done();
    }
    progress_.show(lines_.fraction_read());
  }

  LineReader& lines_;
  Scheduler* scheduler_;
  Progress& progress_;
  const std::function<LineAnswer(const std::string& line)>& begin_;
  std::size_t most_;
  std::deque<LineAnswer> window_;
  bool ended_ = false;
  std::optional<std::string> problem_;  // why the input ended
};

}  // namespace

bool answer_lines(LineReader& lines, Scheduler* scheduler, Progress& progress,
                  const std::function<LineAnswer(const std::string& line)>& begin) {
  return Loop(lines, scheduler, progress, begin).run();
}

}  // namespace aira
