#include "app/lines.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "app/interrupt.h"
#include "app/json_lines.h"
#include "base/thread_pool.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

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

/// Calls `begin` for each line and, on the printing thread, what it returned. False after Ctrl-C.
bool LineLoop::each_line(Engine* engine, std::int64_t sequences, const Begin& begin) {
  catch_interrupts();
  progress_.start();
  Queue queue(kWindowPerSequence * static_cast<std::size_t>(sequences));
  std::exception_ptr reading_failed, printing_failed;
  const OnInterrupt cancels([engine] {
    if (engine != nullptr) engine->cancel_all();
  });
  std::jthread printer = new_thread([&] {
    try {
      while (const PrintAnswer line = interrupted() ? nullptr : queue.pop()) line();
    } catch (...) {
      printing_failed = std::current_exception();
      interrupt();
    }
    queue.close();
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
    lines_.check(line);
    PrintAnswer answer;
    std::optional<Error> problem = problem_in([&] { answer = begin(line); });
    return [&, number = lines_.number(), answer, problem]() mutable {
      printed_ = 0;
      if (!problem) problem = problem_in(answer);
      if (interrupted()) return;
      if (problem) {
        progress_.clear();
        report_error(*problem, message("line {}: ", {std::to_string(number)}));
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
    if (text.find_first_not_of(" \t\r") == std::string::npos) return [] {};
    const auto result = std::make_shared<ordered_json>(ordered_json::object());
    ordered_json failure = failure_of({}, lines_.number());
    PrintAnswer answer;
    std::optional<Error> problem = problem_in([&] {
      lines_.check(text);
      const json line = parse_json(text, "The line");
      static_cast<void>(JsonObject(line, "The line"));  // throws when it is none
      failure = failure_of(line, lines_.number());
      if (line.contains("id")) (*result)["id"] = line["id"];
      (*result)["model"] = model;
      answer = begin(line, *result);
    });
    return [&failed, failure, result, answer, problem]() mutable {
      if (!problem) problem = problem_in(answer);
      if (interrupted()) return;
      if (problem) {
        add_error(failure, *problem);
        *result = std::move(failure);
        ++failed;
      }
      print_json(*result);
    };
  };
  if (!each_line(engine, sequences, begin_line)) return kInterrupted;
  if (failed == 0) return kDone;
  progress_.clear();
  report_error(Error("[E004] {} of {} lines failed; their \"error\" says why.",
                     {std::to_string(failed), std::to_string(lines_.number())}));
  return kFailed;
}

}  // namespace aira
