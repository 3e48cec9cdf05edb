#include "app/question_history.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "app/model_lookup.h"
#include "app/output.h"
#include "base/mapped_file.h"
#include "base/printable.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

constexpr int kLines = 1000;
/// Longer ones are for this session alone: the file is written anew for each line.
constexpr std::size_t kLongestKept = std::size_t{1} << 14;

/// Where the history is kept; its folder is made. Empty when there is no place for it.
std::string history_file() {
  fs::path folder = environment("XDG_STATE_HOME").value_or("");
  if (!folder.is_absolute()) folder = fs::path(environment("HOME").value_or("")) / ".local/state";
  if (!folder.is_absolute()) return "";
  folder /= "aira-cli";
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) return "";
  fs::permissions(folder, fs::perms::owner_all, problem);  // questions are nobody else's business
  const fs::path file = fs::canonical(folder / "history", problem);  // where a link leads
  return (problem ? folder / "history" : file).string();
}

History* new_lines() {
  History* lines = ::history_init();
  HistEvent event = {};
  ::history(lines, &event, H_SETSIZE, kLines);
  ::history(lines, &event, H_SETUNIQUE, 1);
  return lines;
}

/// False when there is something in the file that libedit cannot read.
bool load(History* lines, const std::string& file) {
  HistEvent event = {};
  std::error_code problem;
  const auto size = fs::file_size(file, problem);
  return problem || size == 0 || ::history(lines, &event, H_LOAD, file.c_str()) >= 0;
}

/// Replaces the file, or leaves it as it was.
void save(History* lines, const std::string& file) {
  const std::string unfinished = file + ".unfinished";
  ::unlink(unfinished.c_str());  // a link that somebody made is not followed
  const int fd = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        S_IRUSR | S_IWUSR);
  std::FILE* stream = fd < 0 ? nullptr : ::fdopen(fd, "w");
  if (stream == nullptr) return;
  HistEvent event = {};
  ::history(lines, &event, H_SAVE_FP, stream);
  const bool written = std::ferror(stream) == 0;
  std::error_code problem;
  if (std::fclose(stream) == 0 && written) {
    fs::rename(unfinished, file, problem);
  } else {
    fs::remove(unfinished, problem);
  }
}

}  // namespace

QuestionHistory::QuestionHistory() : file_(history_file()), lines_(new_lines()) {
  if (file_.empty() || load(lines_, file_)) return;
  note(message(
      "The history of questions in {} cannot be read, so it is left alone and none is kept.",
      {quote(file_, 4096)}));
  file_.clear();
}

void QuestionHistory::add(const std::string& line) {
  HistEvent event = {};
  ::history(lines_, &event, H_ENTER, line.c_str());
  if (file_.empty() || line.size() > kLongestKept) return;
  // The folder is locked, not the file, which is another one after each save().
  const Descriptor folder(::open(fs::path(file_).parent_path().c_str(), O_RDONLY | O_CLOEXEC));
  ::flock(folder.get(), LOCK_EX);
  History* all = new_lines();
  if (load(all, file_)) {
    ::history(all, &event, H_ENTER, line.c_str());
    save(all, file_);
  }
  ::history_end(all);
}

}  // namespace aira
