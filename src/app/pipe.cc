// Questions line by line, answers line by line: every line of the input has its lines in the
// output, in order, whole or not at all.
#include "app/answer_lines.h"
#include "app/commands.h"
#include "app/engine.h"
#include "app/interrupt.h"
#include "app/output.h"

namespace aira {
namespace {

class Pipe {
 public:
  explicit Pipe(const Options& options) : lines_(options.file.value_or("-")), engine_(options) {
    engine_.require_markers();
    request_ = engine_.generate_options();
  }

  int run() {
    catch_interrupts();
    Progress progress(!engine_.options().quiet);
    progress_ = &progress;
    const bool whole = answer_lines(lines_, &engine_.scheduler(), progress,
                                    [&](const std::string& line) { return begin(line); });
    return whole ? code_ : kInterrupted;
  }

 private:
  LineAnswer begin(const std::string& line) {
    std::shared_ptr<const Pending<Answers>> pending;
    std::optional<std::string> problem;
    if (!line.empty()) {
      problem = problem_in([&] {
        pending = engine_.scheduler().ask({engine_.prompt(line), request_, {}});
      });
    }
    return [this, pending, problem, number = lines_.number(), printed = std::size_t{0}]() mutable {
      if (pending) print_complete(*pending, printed);
      if (pending && !pending->done) return false;
      if (pending && pending->problem) problem = pending->problem;
      if (problem) {
        progress_->clear();
        report_error("line " + std::to_string(number) + ": " + *problem);
        code_ = kFailed;
      }
      // A question without an answer keeps its place.
      const auto missing = static_cast<std::size_t>(request_.answers) - printed;
      if (missing > 0) print(std::string(missing, '\n'));
      return true;
    };
  }

  void print_complete(const Pending<Answers>& pending, std::size_t& printed) {
    for (; printed < pending.result.complete; ++printed) {
      const Answer& answer = pending.result.list[printed];
      print(engine_.numbering(printed) + one_line(answer.text) + "\n");
      progress_->add_tokens(static_cast<std::int64_t>(answer.token_ids.size()));
      if (engine_.options().stats) progress_->clear();
      engine_.print_stats(answer, request_);
    }
  }

  LineReader lines_;
  Engine engine_;
  GenerateOptions request_;
  Progress* progress_ = nullptr;
  int code_ = kDone;
};

}  // namespace

int run_pipe(const Options& options) { return Pipe(options).run(); }

}  // namespace aira
