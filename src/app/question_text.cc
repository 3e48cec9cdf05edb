#include "app/question_text.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "app/line_reader.h"
#include "app/output.h"

namespace aira {
namespace {

constexpr std::string_view kPlace = "{}";

/// What stdin is, if text may come from it.
struct Stdin {
  bool may_have_text = false;  // a file, a pipe or a socket
  bool made_for_us = false;    // and not the calling shell's own stdin

  Stdin() {
    struct stat ours {
    }, parents{};
    if (::fstat(STDIN_FILENO, &ours) != 0) return;
    may_have_text = S_ISREG(ours.st_mode) || S_ISFIFO(ours.st_mode) || S_ISSOCK(ours.st_mode);
    const std::string parent = "/proc/" + std::to_string(::getppid()) + "/fd/0";
    made_for_us = may_have_text && ::stat(parent.c_str(), &parents) == 0 &&
                  (ours.st_dev != parents.st_dev || ours.st_ino != parents.st_ino);
  }
};

/// Whether stdin can be read at once and has not ended.
bool has_text() {
  int bytes = 0;  // of a file: what is left of it
  return ::ioctl(STDIN_FILENO, FIONREAD, &bytes) == 0 && bytes > 0;
}

/// All of the input less the line breaks at its end, as a shell's $(...) gives it.
std::string read_text(const std::optional<std::string>& file) {
  std::string text = LineReader(file).rest();
  text.erase(text.find_last_not_of("\r\n") + 1);
  return text;
}

void put_text(std::string& question, const std::string& text) {
  std::size_t at = question.find(kPlace);
  if (at == std::string::npos) {
    question.append("\n").append(text);
    return;
  }
  for (; at != std::string::npos; at = question.find(kPlace, at + text.size())) {
    question.replace(at, kPlace.size(), text);
  }
}

}  // namespace

void add_text_options(CLI::App& app, AskOptions& options) {
  app.option_defaults()->group("Input");
  app.add_flag("--stdin", options.with_stdin,
               message("Add the text of stdin (at {0}, else at the end)", {"{}"}));
  app.add_flag("--whole", options.whole, message("All of stdin or FILE is one question"));
  app.add_flag_callback(
      "-0,--null", [&options] { options.line_end = '\0'; },
      message("Questions end with a NUL, not a line break"));
}

void check_text_options(AskOptions& options) {
  const bool by_nul = options.line_end == '\0';
  if (options.question == "-" && !options.file) {
    options.file = std::exchange(options.question, std::nullopt);
  }
  if (options.with_stdin && !options.question) {
    throw UsageError(
        "[E142] --stdin puts the text of stdin beside a question, which is missing; --whole takes "
        "all of stdin for the question.");
  }
  if (options.question && (options.whole || by_nul)) {
    throw UsageError(
        "[E143] {} is for questions from stdin or -f FILE; --stdin puts the text of "
        "stdin beside a question.",
        {options.whole ? "--whole" : "--null"});
  }
  if (options.json && (options.whole || by_nul)) {
    throw UsageError("[E144] {} is for plain text; in --jsonl each line is an object of its own.",
                     {options.whole ? "--whole" : "--null"});
  }
  if (options.whole && by_nul) {
    throw UsageError(
        "[E145] --whole takes the input for one question and --null for several; use "
        "one of them.");
  }
  for (const auto& text : {options.question, options.form}) {
    if (text && find_no_text(*text) != std::string::npos) {
      throw Error(
          "[E146] {} is not UTF-8; the terminal or the script that wrote it uses another "
          "encoding.",
          {text == options.question ? message("The question") : "--template"});
    }
  }
}

void complete_question(AskOptions& options) {
  if (options.whole) {
    options.question = read_text(options.file);
    if (options.question->empty()) throw Error("[E147] The input is empty and asks nothing.");
    return;
  }
  if (!options.question) return;
  const bool placed = options.question->find(kPlace) != std::string::npos;
  if (!options.with_stdin && !(placed && Stdin().made_for_us)) return;
  const std::string text = read_text({});
  if (text.empty()) {
    throw Error("[E148] stdin is empty, so there is no text to put beside the question.");
  }
  put_text(*options.question, text);
  options.with_stdin = true;
}

void note_unread_text(const AskOptions& options) {
  if (options.quiet || options.with_stdin || options.whole || !options.question) return;
  const bool placed = options.question->find(kPlace) != std::string::npos;
  const Stdin in;
  if (placed ? !in.may_have_text || !has_text() : !in.made_for_us || !has_text()) return;
  note(placed ? message("{0} stayed as it is, because stdin belongs to the calling program (a "
                        "loop?); {1} reads it all the same.",
                        {"{}", "--stdin"})
              : message("the text of stdin was not read; {} puts it after the question.",
                        {"--stdin"}));
}

}  // namespace aira
