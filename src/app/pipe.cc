// Questions line by line, answers line by line: every line of the input has its lines in the
// output, in order, whole or not at all.
#include <utility>

#include "app/answering.h"
#include "app/interrupt.h"
#include "app/line_loop.h"

namespace aira {
namespace {

class Pipe {
 public:
  explicit Pipe(const AskOptions& options)
      : lines_(options.file.value_or("-")),
        answering_(options),
        request_(options.request.over(answering_.engine().defaults())),
        progress_(!options.quiet) {}

  int run() {
    catch_interrupts();
    const LineLoop loop = {lines_, progress_, answering_.line_window(),
                           [this] { answering_.engine().cancel_all(); }};
    const bool whole = loop.run([this](const std::string& line) { return begin(line); });
    return whole ? code_ : kInterrupted;
  }

 private:
  /// What is known of a line's answers.
  struct Line {
    std::int64_t number;
    std::int64_t printed = 0;
    std::optional<Ticket> ticket = {};
    std::optional<Error> problem = {};
  };

  PrintAnswer begin(const std::string& text) {
    const auto line = std::make_shared<Line>(Line{lines_.number()});
    if (!text.empty()) {
      Listener listener;
      listener.finished = [this, &line = *line](std::size_t number, const Answer& answer) {
        if (answer.finish != FinishReason::kInterrupted) print_answer(line, number, answer);
      };
      listener.failed = [&line = *line](const Error& error) { line.problem = error; };
      line->problem = problem_in([&] {
        line->ticket = answering_.engine().submit(
            GenerateRequest{answering_.prompt(text), request_}, std::move(listener));
      });
    }
    return [this, line] { finish(*line); };
  }

  void print_answer(Line& line, std::size_t number, const Answer& answer) {
    print(answering_.numbering(number) + one_line(answer.text) + "\n");
    ++line.printed;
    progress_.add_tokens(answer.token_ids.size());
    if (answering_.options().stats) progress_.clear();
    answering_.print_stats(answer, request_.seed);
  }

  void finish(Line& line) {
    if (line.ticket) line.ticket->wait();
    if (interrupted()) return;
    if (line.problem) {
      progress_.clear();
      report_error("line " + std::to_string(line.number) + ": " + line.problem->what());
      code_ = kFailed;
    }
    // A question without an answer keeps its place.
    print(std::string(static_cast<std::size_t>(request_.answers - line.printed), '\n'));
  }

  LineReader lines_;
  Answering answering_;
  GenerateOptions request_;
  Progress progress_;
  int code_ = kDone;
};

}  // namespace

int run_pipe(const AskOptions& options) { return Pipe(options).run(); }

}  // namespace aira
