// All that the program writes. stdout carries answers only, through one checked function; stderr
// takes everything else.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "aira/error.h"
#include "base/format.h"

namespace aira {

/// stdout or a file cannot be written to: EPIPE when its reader has gone (`| head -1`), EINTR when
/// an interrupt came and its reader does not read, else a full disk or the like. Not an Error: it
/// ends the program, not one line.
class WriteFailed : public std::system_error {
 public:
  /// `file` is empty for stdout.
  WriteFailed(int problem, std::string file)
      : std::system_error(problem, std::generic_category()), file_(std::move(file)) {}
  const std::string& file() const { return file_; }

 private:
  std::string file_;
};

/// Writes all of `text` to stdout, unbuffered. Throws WriteFailed.
void print(std::string_view text);
/// Writes all of `text` to `fd`. Returns 0, or the errno that stopped it.
int write_all(int fd, std::string_view text);
/// print() to the file `fd`, of that name in messages.
void write_file(int fd, std::string_view text, const std::string& file);
/// `value` without line breaks, also for readers that break lines where Unicode does, and without
/// control characters.
std::string json_text(const nlohmann::ordered_json& value);
void print_json(const nlohmann::ordered_json& value);

/// Whether the terminal understands escape sequences.
bool has_escapes();
/// Whether a terminal may be sent colours: not with NO_COLOR, and not one that has none.
bool colours();
/// The width of the terminal `fd` now; 0 when it is none or does not say.
int terminal_columns(int fd);

/// "aira-cli: SENTENCE" on stderr.
void note(std::string_view sentence);
/// "aira-cli: error: [E017] SENTENCE" on stderr, after `where` ("line 3: ").
void report_error(const Error& error, std::string_view where = {}, bool with_fields = false);
/// `text` alone on stderr.
void print_aside(std::string_view text);

/// `text` with every line break (those of Unicode and Python's splitlines) as one space.
std::string one_line(std::string_view text);

/// `text` (UTF-8) with blanks behind it up to `width` letters; before it for a negative width.
std::string padded(std::string text, int width);
/// "497 MB": bytes in powers of 1000, with three digits at most.
std::string size_text(std::int64_t bytes);

/// Does `work`; the Error that it throws, if any. For input that must not end the program: one line
/// of many, one turn of a chat.
std::optional<Error> problem_in(const std::function<void()>& work);

}  // namespace aira
