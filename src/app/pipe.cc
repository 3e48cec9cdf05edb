// Questions line by line, answers line by line: every line of the input has its lines in the
// output, in order, whole or not at all.
#include "app/commands.h"
#include "app/engine.h"
#include "app/interrupt.h"
#include "app/line_reader.h"
#include "app/output.h"

namespace aira {
namespace {

/// Answers one line. Throws Error when it cannot; `printed` counts the lines that it has printed.
/// False when interrupted.
bool answer_line(Engine& engine, const Request& request, const std::string& line,
                 std::int64_t& printed) {
  const std::vector<std::int32_t> prompt = engine.prompt(line);
  for (; printed < request.answers; ++printed) {
    const Answer answer = engine.answer(prompt, request, printed);
    if (answer.finish == FinishReason::kInterrupted) return false;
    print(one_line(answer.text) + "\n");
    engine.print_stats(answer, request);
  }
  return true;
}

}  // namespace

int run_pipe(const Options& options) {
  LineReader lines(options.file.value_or("-"));
  Engine engine(options);
  engine.require_markers();
  const Request request = engine.request();
  catch_interrupts();
  int code = kDone;
  while (const std::optional<std::string> line = lines.next()) {
    std::int64_t printed = 0;
    bool finished = true;
    std::optional<std::string> problem;
    if (!line->empty()) {
      problem = problem_in([&] { finished = answer_line(engine, request, *line, printed); });
    }
    if (!finished) return kInterrupted;
    if (problem) {
      report_error("line " + std::to_string(lines.number()) + ": " + *problem);
      code = kFailed;
    }
    // A question without an answer keeps its place.
    print(std::string(static_cast<std::size_t>(request.answers - printed), '\n'));
  }
  return interrupted() ? kInterrupted : code;
}

}  // namespace aira
