#include "app/run_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/output.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/printable.h"
#include "run/option_values.h"

namespace aira {
namespace {

constexpr const char* kVersion = "aira_run";  // key of the journal's format, 1
constexpr std::string_view kEnd = "end ";
constexpr std::string_view kOk = "ok", kFailedWord = "failed";

std::string journal_path(const std::string& path) { return path + ".aira-run"; }

std::shared_ptr<const Descriptor> open_file(const std::string& path, int flags) {
  auto file = std::make_shared<const Descriptor>(::open(path.c_str(), flags | O_CLOEXEC, 0666));
  if (file->get() < 0) {
    throw Error("[E160] Opening {} failed: {}.", {quote(path, 4096), system_message(errno)});
  }
  return file;
}

/// Two processes that write to one file would spoil it. `how`: LOCK_EX, or LOCK_SH to read.
void lock(const Descriptor& file, int how, const std::string& path) {
  if (::flock(file.get(), how | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    throw Error("[E161] Another aira-cli is at work on {}; wait for its end, or stop it.",
                {quote(path, 4096)});
  }
}

void cut(const Descriptor& file, std::int64_t end, const std::string& path) {
  if (::ftruncate(file.get(), end) != 0 || ::lseek(file.get(), end, SEEK_SET) < 0) {
    throw WriteFailed(errno, path);
  }
}

/// To the disk, where a file is on one.
void sync(const Descriptor& file, const std::string& path) {
  if (::fsync(file.get()) != 0 && errno != EINVAL && errno != EROFS) {
    throw WriteFailed(errno, path);
  }
}

void rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw WriteFailed(errno, to);
}

/// A replacement that was killed halfway is completed, one that had not begun is dropped.
void settle_replacement(const std::string& path) {
  const std::string file = retry_path(path), journal = journal_path(file);
  std::error_code problem;
  if (!std::filesystem::exists(journal, problem)) {
    std::filesystem::remove(file, problem);
  } else if (std::filesystem::exists(file, problem)) {
    std::filesystem::remove(journal, problem);
    std::filesystem::remove(file, problem);
  } else {
    rename_file(journal, journal_path(path));
  }
}

RunIdentity read_identity(const std::string& line, const std::string& path) {
  try {
    const nlohmann::json heading = parse_json(line, message("The journal"));
    if (heading.at(kVersion) == 1) return heading.at("run").get<RunIdentity>();
  } catch (const Error&) {
  } catch (const nlohmann::json::exception&) {
  }
  throw Error("[E162] {} is not the journal of a run of this program; write to another file.",
              {quote(journal_path(path), 4096)});
}

/// The entry of a line of the journal; nothing for another line.
std::optional<RunEntry> read_entry(const std::string& line) {
  RunEntry entry;
  std::string state;
  std::istringstream words(line);
  words >> entry.number >> std::hex >> entry.line >> std::dec >> entry.bytes >> std::hex >>
      entry.output >> state;
  entry.failed = state == kFailedWord;
  if (!words || entry.bytes < 0 || (!entry.failed && state != kOk)) return std::nullopt;
  return entry;
}

}  // namespace

std::string retry_path(const std::string& path) { return path + ".aira-retry"; }

std::optional<RunIdentity> former_identity(const std::string& path) {
  std::error_code problem;
  const bool there = std::filesystem::exists(path, problem) && !problem;
  std::ifstream journal(journal_path(path));
  std::string line;
  if (there && std::getline(journal, line) && !journal.eof()) return read_identity(line, path);
  // Killed before the first answer.
  if (!there || std::filesystem::file_size(path, problem) == 0) return std::nullopt;
  throw Error(
      "[E163] {} is there, but its journal {} is not, so that nobody knows what it answers; write "
      "to another file.",
      {quote(path, 4096), quote(journal_path(path), 4096)});
}

RunReader::RunReader(const std::string& path, bool writable)
    : path_(path), file_(open_file(path, writable ? O_RDWR : O_RDONLY)) {
  lock(*file_, writable ? LOCK_EX : LOCK_SH, path);
  if (writable) settle_replacement(path);
  const std::optional<RunIdentity> identity = former_identity(path);
  journal_.open(journal_path(path), std::ios::binary);
  std::string line;
  if (!identity || !std::getline(journal_, line)) {
    throw Error("[E164] {} is empty and has no journal.", {quote(path, 4096)});
  }
  identity_ = *identity;
  first_ = journal_end_ = journal_.tellg();
}

void RunReader::rewind() {
  journal_.clear();
  journal_.seekg(first_);
  journal_end_ = first_;
  file_end_ = 0;
}

std::optional<RunEntry> RunReader::next(std::string& text) {
  std::string line;
  if (!std::getline(journal_, line) || journal_.eof()) return std::nullopt;
  std::int64_t lines = 0;
  if (line.starts_with(kEnd) && read_word(line.substr(kEnd.size()), lines)) {
    lines_ = lines;
    return std::nullopt;
  }
  const std::optional<RunEntry> entry = read_entry(line);
  if (!entry) {
    throw Error("[E165] The journal {} is damaged: {} is no entry. Write to another file.",
                {quote(journal_path(path_), 4096), quote(line)});
  }
  text.resize(static_cast<std::size_t>(entry->bytes));
  std::size_t got = 0;
  while (got < text.size()) {
    const ssize_t more = ::pread(file_->get(), text.data() + got, text.size() - got,
                                 file_end_ + static_cast<std::int64_t>(got));
    if (more == 0) return std::nullopt;  // a power cut
    if (more < 0 && errno != EINTR) {
      throw Error("[E169] Reading {} failed: {}.", {quote(path_, 4096), system_message(errno)});
    }
    if (more > 0) got += static_cast<std::size_t>(more);
  }
  if (digest(text) != entry->output) {
    throw Error(
        "[E166] {} is not as it was written: what answers line {} of the input was changed; undo "
        "that, or write to another file.",
        {quote(path_, 4096), std::to_string(entry->number)});
  }
  file_end_ += entry->bytes;
  journal_end_ += std::ssize(line) + 1;
  return entry;
}

RunWriter::RunWriter(const std::string& path, const RunIdentity& identity) : path_(path) {
  std::error_code problem;
  const auto there = std::filesystem::status(path, problem);
  if (std::filesystem::exists(there) &&
      (!std::filesystem::is_regular_file(there) || std::filesystem::file_size(path) > 0)) {
    throw Error(
        "[E167] {} is there already; --resume goes on with it. To begin anew, remove it or "
        "write to another file.",
        {quote(path, 4096)});
  }
  file_ = open_file(path, O_WRONLY | O_CREAT);
  lock(*file_, LOCK_EX, path);
  journal_ = open_file(journal_path(path), O_WRONLY | O_CREAT | O_TRUNC);
  const nlohmann::ordered_json heading = {{kVersion, 1}, {"run", identity}};
  write_file(journal_->get(), json_text(heading) + "\n", journal_path(path));
}

RunWriter::RunWriter(const RunReader& done)
    : path_(done.path_),
      file_(done.file_),
      journal_(open_file(journal_path(done.path_), O_WRONLY)) {
  cut(*file_, done.file_end_, path_);
  cut(*journal_, done.journal_end_, path_);
}

void RunWriter::append(RunEntry entry, const std::string& text) {
  write_file(file_->get(), text, path_);
  std::string row = std::to_string(entry.number);
  row.append(" ").append(hex(entry.line)).append(" ").append(std::to_string(text.size()));
  row.append(" ").append(hex(digest(text))).append(" ");
  row.append(entry.failed ? kFailedWord : kOk).append("\n");
  write_file(journal_->get(), row, path_);
}

void RunWriter::finish(std::int64_t lines) {
  write_file(journal_->get(), std::string(kEnd).append(std::to_string(lines)).append("\n"), path_);
  // Once, so that a run that was reported as done also survives a power cut.
  sync(*file_, path_);
  sync(*journal_, path_);
}

void RunWriter::replace(const std::string& path) {
  sync(*file_, path_);
  sync(*journal_, path_);
  rename_file(path_, path);
  rename_file(journal_path(path_), journal_path(path));
  path_ = path;
}

void RunWriter::discard() {
  std::error_code problem;
  std::filesystem::remove(journal_path(path_), problem);
  std::filesystem::remove(path_, problem);
}

}  // namespace aira
