#include "app/text_editor.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "app/key_reader.h"
#include "app/model_lookup.h"
#include "base/mapped_file.h"
#include "base/printable.h"
#include "base/utf8.h"

namespace aira {
namespace {

struct TemporaryFile {
  TemporaryFile() {
    constexpr std::string_view kSuffix = ".txt";
    path = environment("TMPDIR").value_or("/tmp") + "/aira-question-XXXXXX";
    path += kSuffix;
    const Descriptor file(::mkstemps(path.data(), static_cast<int>(kSuffix.size())));
    if (file.get() < 0) {
      throw Error("[E212] A file for the editor cannot be made: {}: {}.",
                  {quote(path, 4096), std::generic_category().message(errno)});
    }
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    std::error_code unused;
    std::filesystem::remove(path, unused);
  }

  std::string path;
};

/// `text` as one word of a shell.
std::string shell_word(const std::string& text) {
  std::string word = "'";
  for (const char letter : text)
    word += letter == '\'' ? std::string("'\\''") : std::string{letter};
  return word + "'";
}

}  // namespace

std::string written_in_editor(const std::string& text) {
  const std::string editor = environment("VISUAL").value_or(environment("EDITOR").value_or("vi"));
  const TemporaryFile file;
  std::ofstream(file.path) << text << (text.empty() ? "" : "\n");
  // stdout may be a pipe. The editor may be a command with arguments.
  const std::string command = editor + " " + shell_word(file.path) + " </dev/tty >/dev/tty";
  const int status = std::system(command.c_str());
  if (status != 0 && WIFEXITED(status)) {
    throw Error(
        "[E213] The editor {} ended with exit code {}, so nothing is asked. $VISUAL and "
        "$EDITOR choose another.",
        {quote(editor), std::to_string(WEXITSTATUS(status))});
  }
  if (status != 0) {
    throw Error("[E218] The editor {} was killed, so nothing is asked.", {quote(editor)});
  }
  std::ifstream written(file.path);
  std::string question((std::istreambuf_iterator<char>(written)), {});
  while (question.ends_with('\n') || question.ends_with('\r')) question.pop_back();
  if (question.size() > kLongestQuestion) {
    throw Error("[E200] A question may have 1 MiB at most; this one is longer and was not asked.");
  }
  if (valid_utf8(question) != question) {
    throw Error("[E214] The editor has written bytes that are not UTF-8, so nothing is asked.");
  }
  return question;
}

}  // namespace aira
