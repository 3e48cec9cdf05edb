// All that the program writes. stdout carries answers only, through one checked function; stderr
// takes everything else.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

namespace aira {

/// The reader of stdout went away (`| head -1`): the program ends quietly.
class ClosedReader : public std::exception {
 public:
  const char* what() const noexcept override { return "The reader of stdout is gone."; }
};

/// stdout cannot be written to (a full disk). Not an Error: it ends the program whatever a single
/// line of input is about.
class WriteFailed : public std::runtime_error {
 public:
  explicit WriteFailed(const std::string& sentence) : std::runtime_error(sentence) {}
};

/// Writes all of `text` to stdout, unbuffered. Throws ClosedReader or WriteFailed.
void print(std::string_view text);

/// "aira-cli: SENTENCE" and "aira-cli: error: SENTENCE" on stderr.
void note(std::string_view sentence);
void report_error(std::string_view sentence);
/// `text` as it stands on stderr.
void print_aside(std::string_view text);

/// `text` with every line break (those of Unicode and Python's splitlines) as one space.
std::string one_line(std::string_view text);

/// Whether colours may be used on stderr: a terminal that is not dumb, and no NO_COLOR.
bool colours();

}  // namespace aira
