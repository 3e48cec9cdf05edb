#include "app/line_loop.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "aira/error.h"
#include "app/command_line.h"
#include "app/interrupt.h"
#include "base/printable.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

struct Line {
  PrintAnswer print;
  double fraction;  // of the input that has been read
};

/// Lines on their way from the reading to the printing thread.
class Queue {
 public:
  explicit Queue(std::size_t most) : most_(most) {}

  /// Waits for room. False when the other end has closed.
  bool push(Line line) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || lines_.size() < most_; });
    if (closed_) return false;
    lines_.push_back(std::move(line));
    changed_.notify_all();
    return true;
  }
  /// The oldest line, which goes on taking room until pop(); null when the queue is closed and
  /// empty.
  Line* front() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !lines_.empty(); });
    return lines_.empty() ? nullptr : &lines_.front();
  }
  void pop() {
    const std::lock_guard lock(mutex_);
    lines_.pop_front();
    changed_.notify_all();
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
  std::deque<Line> lines_;
  bool closed_ = false;
};

/// One line, also for readers that break lines where Unicode does.
std::string one_json_line(const ordered_json& value) {
  std::string line = value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  constexpr std::array<std::array<std::string_view, 2>, 3> kEscapes = {
      {{"\u2028", "\\u2028"}, {"\u2029", "\\u2029"}, {"\u0085", "\\u0085"}}};
  for (const auto& [letter, escape] : kEscapes) {
    for (std::size_t at = 0; (at = line.find(letter, at)) != std::string::npos;) {
      line.replace(at, letter.size(), escape);
    }
  }
  return line + "\n";
}

}  // namespace

bool LineLoop::run(const std::function<PrintAnswer(const std::string& line)>& begin) const {
  Queue queue(window);
  std::exception_ptr printing_failed;
  std::thread printer([&] {
    try {
      for (Line* line = nullptr; (line = queue.front()) != nullptr && !interrupted();) {
        line->print();
        if (interrupted()) break;
        progress.line_done(line->fraction);
        queue.pop();
      }
    } catch (...) {
      printing_failed = std::current_exception();
      stop_waiting();
      cancel();
    }
    queue.close();
  });
  std::exception_ptr reading_failed;
  const OnInterrupt cancels(cancel);
  try {
    while (const std::optional<std::string> line = lines.next()) {
      if (!queue.push({begin(*line), lines.fraction_read()})) break;
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

int run_json_loop(const LineLoop& loop, const std::function<JsonAnswer(const json& line)>& begin) {
  std::int64_t failed = 0;
  const auto begin_line = [&](const std::string& text) -> PrintAnswer {
    json id;
    ordered_json result;
    JsonAnswer answer;
    std::optional<Error> problem = problem_in([&] {
      const json line = parse_json(text, "The line");
      static_cast<void>(JsonObject(line, "The line"));  // throws when it is none
      if (line.contains("id")) result["id"] = id = line["id"];
      answer = begin(line);
    });
    return [&loop, &failed, id, result, answer, problem]() mutable {
      if (!problem) problem = problem_in([&] { result.update(answer()); });
      if (interrupted()) return;
      if (problem) {
        result = {{"id", id}, {"error", {{"message", problem->with_fields()}}}};
        ++failed;
      }
      print(one_json_line(result));
    };
  };
  if (!loop.run(begin_line)) return kInterrupted;
  if (failed == 0) return kDone;
  loop.progress.clear();
  report_error(std::to_string(failed) + " of " + std::to_string(loop.lines.number()) +
               " lines failed; their \"error\" says why.");
  return kFailed;
}

void refuse_other_keys(const json& line, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : line.items()) {
    if (key != "id" && std::find(known.begin(), known.end(), key) == known.end()) {
      throw Error("The key " + quote(key) + " means nothing here.");
    }
  }
}

std::optional<std::vector<std::int32_t>> token_ids(const JsonObject& line, const std::string& key) {
  const json* value = line.find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) line.fail(key, "a list of token ids", *value);
  const std::vector<std::int64_t> ids =
      line.integers(key, {.from = 0, .to = std::numeric_limits<std::int32_t>::max()});
  return std::vector<std::int32_t>(ids.begin(), ids.end());
}

}  // namespace aira
