#include "app/lines.h"

#include <unistd.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <thread>
#include <utility>

#include "app/interrupt.h"
#include "app/json_lines.h"
#include "app/line_queue.h"
#include "app/model_lookup.h"
#include "base/digest.h"
#include "base/printable.h"
#include "base/thread_pool.h"

namespace aira {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Lines that wait for an earlier one's answer: so many for each sequence, and so many bytes.
constexpr std::size_t kWindowPerSequence = 16;
constexpr std::size_t kWindowBytes = std::size_t{256} << 20U;
/// A line that is parsed or tokenised when Ctrl-C comes may take longer, and is given up.
constexpr std::chrono::milliseconds kPatience{1000};
/// A line's text is held up to so many times: itself, its values, what it becomes.
constexpr std::size_t kCopiesOfLine = 4;

}  // namespace

LineLoop::LineLoop(const CommonOptions& options)
    : options_(options),
      terminal_(::isatty(STDOUT_FILENO) == 1),
      lines_(options.file, options.line_end),
      progress_(options) {
  if (options.run.csv) table_.emplace(lines_, *options.run.csv);
}

void LineLoop::open_output(const FoundModel& model) {
  if (!options_.run.output) return;
  const std::string& path = *options_.run.output;
  const RunIdentity identity = identity_of(options_, model);
  if (options_.run.resume && former_identity(path)) {
    former_.emplace(path, true);
    require_same(former_->identity(), identity, path);
  } else {
    file_.emplace(path, identity);
  }
}

/// The next line or row of this shard; the header of a table belongs to all.
std::optional<std::string> LineLoop::next_line() {
  for (;;) {
    std::optional<std::string> line = table_ ? table_->next() : lines_.next();
    number_ = table_ ? table_->number() : lines_.number();
    const bool ours = number_ == 0 || (number_ - options_.run.shard) % options_.run.shards == 0;
    if (!line || ours) return line;
  }
}

/// The next line, with `former` one that the former run has done; nothing at the end and after an
/// interrupt.
std::optional<LineLoop::Line> LineLoop::next_line_to_do(bool former) {
  Line line;
  if (former) {
    const std::optional<RunEntry> done = former_->next(line.written);
    if (!done) return std::nullopt;
    line.entry = *done;
  }
  std::optional<std::string> text = next_line();
  if (!text && (!former || interrupted())) return std::nullopt;
  if (!text) {
    throw Error(
        "[E180] The input ends before line {}, which {} answers; go on with the input of that run, "
        "or write to another file.",
        {std::to_string(line.entry.number), quote(*options_.run.output, 4096)});
  }
  line.text = *std::move(text);
  const RunEntry now = {.number = number_, .line = digest(line.text)};
  if (!former) line.entry = now;
  if (line.entry.number != now.number || line.entry.line != now.line) {
    throw Error(
        "[E181] Line {} of the input is not the one that {} answers; go on with the input of that "
        "run, or write to another file.",
        {std::to_string(std::min(now.number, line.entry.number)),
         quote(*options_.run.output, 4096)});
  }
  return line;
}

/// To stdout at once, to a file as a whole record.
void LineLoop::write(const std::string& text) {
  if (file_) {
    record_ += text;
  } else {
    print(terminal_ ? without_controls(text) : text);
  }
}

void LineLoop::close_record(RunEntry entry, double fraction) {
  entry.failed = failed_;
  if (file_) file_->append(entry, record_);
  ++records_;
  if (entry.number == 0) return;
  progress_.line_done(failed_, fraction);
  errors_ += failed_ ? 1 : 0;
  if (failed_ && options_.run.max_errors && errors_ > *options_.run.max_errors) {
    too_many_errors_ = true;
    interrupt();
  }
}

/// Calls `begin` for each line and, on the printing thread, what it returned. `again`: for the
/// lines of the former run that failed, copying the others.
void LineLoop::pass(Engine* engine, std::int64_t sequences, const Begin& begin, bool again) {
  LineQueue queue(kWindowPerSequence * static_cast<std::size_t>(sequences), kWindowBytes);
  std::exception_ptr reading_failed, printing_failed;
  const auto cancel = [engine] {
    if (engine != nullptr) engine->cancel_all();
  };
  const OnInterrupt cancels(cancel, kPatience);
  std::jthread printer = new_thread([&] {
    try {
      while (const PrintAnswer line = interrupted() ? nullptr : queue.pop()) line();
    } catch (...) {
      printing_failed = std::current_exception();
      interrupt();
    }
    queue.close();
  });
  const auto push = [&](RunEntry entry, PrintAnswer answer) {
    PrintAnswer whole = [this, entry, answer = std::move(answer), read = lines_.fraction_read()] {
      record_.clear();
      failed_ = false;
      answer();
      if (!interrupted()) close_record(entry, read);
    };
    if (engine != nullptr) return queue.push(std::move(whole), expected_);
    whole();  // there is nothing to wait for
    return true;
  };
  try {
    while (std::optional<Line> line = next_line_to_do(again)) {
      expected_ = kCopiesOfLine * line->text.size();
      PrintAnswer answer = again && !line->entry.failed
                               ? [this, written = std::move(line->written)] { write(written); }
                               : begin(line->text);
      if (!push(line->entry, std::move(answer))) break;
    }
  } catch (...) {
    reading_failed = std::current_exception();
  }
  queue.close();
  printer.join();
  if (printing_failed) std::rethrow_exception(printing_failed);
  if (reading_failed && !interrupted()) std::rethrow_exception(reading_failed);
}

/// What the former run has done is left as it is, or with --retry-failed mended; file_ then goes on
/// behind it.
void LineLoop::go_on(Engine* engine, std::int64_t sequences, const Begin& begin) {
  if (options_.run.retry_failed) {
    ask_failed_lines_again(engine, sequences, begin);
  } else {
    while (const std::optional<Line> line = next_line_to_do(true)) {
      if (line->entry.number > 0) progress_.line_was_done(line->entry.failed);
    }
    if (!interrupted()) file_.emplace(*former_);
  }
  former_.reset();
}

/// In a file that takes the place of the other when it is whole.
void LineLoop::ask_failed_lines_again(Engine* engine, std::int64_t sequences, const Begin& begin) {
  const std::string& path = *options_.run.output;
  file_.emplace(retry_path(path), former_->identity());
  try {
    pass(engine, sequences, begin, true);
    if (interrupted()) {  // the rest stays as it was
      former_->rewind();
      std::string written;
      for (std::int64_t i = 0; const std::optional<RunEntry> entry = former_->next(written); ++i) {
        if (i >= records_) file_->append(*entry, written);
      }
    }
    file_->replace(path);
  } catch (...) {
    file_->discard();
    throw;
  }
}

/// Returns the exit code.
int LineLoop::each_line(Engine* engine, std::int64_t sequences, const Begin& begin) {
  catch_interrupts();
  progress_.start(0);
  try {
    if (former_) go_on(engine, sequences, begin);
    progress_.start(lines_.fraction_read());
    if (!interrupted()) pass(engine, sequences, begin, false);
    if (!interrupted() && file_) file_->finish(number_);
  } catch (const Error&) {
    progress_.end(false);
    throw;
  }
  progress_.end(!interrupted());
  if (too_many_errors_) {
    throw Error("[E182] The run was stopped because more than {} lines failed.",
                {std::to_string(*options_.run.max_errors)});
  }
  if (interrupted()) return kInterrupted;
  return progress_.failed() > 0 ? kFailed : kDone;
}

void LineLoop::expect(std::int64_t tokens, std::int64_t logprobs) {
  constexpr std::int64_t kBytes = 64;  // a number and its text
  expected_ += static_cast<std::size_t>(tokens * (2 + logprobs) * kBytes);
}

void LineLoop::print_line(const std::string& text) {
  if (table_) {
    answers_.push_back(text);
  } else {
    write(one_line(text) + "\n");
  }
  ++printed_;
}

int LineLoop::run(Engine* engine, std::int64_t sequences, std::int64_t answers,
                  const Begin& begin) {
  const auto begin_line = [&](const std::string& line) -> PrintAnswer {
    lines_.check(line);
    if (table_ && number_ == 0) return [this, header = table_->header(answers)] { write(header); };
    PrintAnswer answer;
    std::optional<Error> problem = problem_in([&] {
      lines_.require_fit();
      if (table_) table_->require_fit();
      answer = begin(table_ ? table_->question() : line);
    });
    return [&, number = number_, row = table_ ? table_->fitted() : "", answer, problem]() mutable {
      printed_ = 0;
      answers_.clear();
      if (!problem) problem = problem_in(answer);
      if (interrupted()) return;
      failed_ = problem.has_value();
      if (failed_ && !table_) {
        progress_.clear();
        report_error(*problem, message("line {}: ", {std::to_string(number)}));
      }
      const auto missing = static_cast<std::size_t>(answers - printed_);
      if (!table_) return write(std::string(missing, '\n'));
      answers_.resize(answers_.size() + missing);
      answers_.push_back(problem ? problem->tag() + problem->what() : "");
      write(table_->with(row, answers_));
    };
  };
  const int code = each_line(engine, sequences, begin_line);
  return table_ ? report_failed_lines(code) : code;
}

int LineLoop::run_json(const std::string& model, Engine* engine, std::int64_t sequences,
                       const BeginJson& begin) {
  const auto begin_line = [&](const std::string& text) -> PrintAnswer {
    const bool blank = text.find_first_not_of(" \t\r") == std::string::npos;
    if (blank && !lines_.too_long()) return [] {};
    const auto result = std::make_shared<JsonText>();
    ordered_json failure = failure_of({}, lines_.number());
    PrintAnswer answer;
    const std::optional<Error> problem = problem_in([&] {
      lines_.require_fit();
      lines_.check(text);
      const json line = parse_json(text, message("The line"));
      static_cast<void>(JsonObject(line, message("The line")));  // throws when it is none
      failure = failure_of(line, lines_.number());
      if (line.contains("id")) result->set("id", line["id"]);
      result->set("model", model);
      answer = begin(line, *result);
    });
    auto failed = [this, failure = std::move(failure)](const Error& error) mutable {
      failed_ = true;
      add_error(failure, error);
      write(json_text(failure) + "\n");
    };
    if (problem) return [failed, problem]() mutable { failed(*problem); };
    return [this, result, answer, failed]() mutable {
      const std::optional<Error> late = problem_in(answer);
      if (interrupted()) return;
      late ? failed(*late) : write(result->object() + "\n");
    };
  };
  return report_failed_lines(each_line(engine, sequences, begin_line));
}

/// Where the output says of each line what was wrong. Returns `code`.
int LineLoop::report_failed_lines(int code) const {
  if (code == kFailed) {
    report_error(Error("[E004] {} of {} lines failed; their \"error\" says why.",
                       {std::to_string(progress_.failed()), std::to_string(progress_.done())}));
  }
  return code;
}

}  // namespace aira
