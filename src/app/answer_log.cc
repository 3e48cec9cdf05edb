#include "app/answer_log.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/output.h"
#include "base/printable.h"

namespace aira {

using nlohmann::ordered_json;

namespace {

/// "2026-01-31T23:59:59.123Z"
std::string time_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = milliseconds / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  return text.data() + format(".%03dZ", static_cast<int>(milliseconds % 1000));
}

}  // namespace

AnswerLog::AnswerLog(const std::string& path)
    : name_(quote(path, 4096)),
      file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (file_.get() < 0) {
    throw Error("[E140] The log {} cannot be opened: {}.", {name_, system_message(errno)});
  }
}

void AnswerLog::add(const ordered_json& record) {
  ordered_json line = {{"time", time_now()}};
  line.update(record);
  const std::string text = line.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  const int problem = write_all(file_.get(), text);
  if (problem_ == 0) problem_ = problem;
}

void add_log(CLI::App& app, std::optional<std::string>& file) {
  add_text(app, "--log", file, "FILE", message("Append each question and answer to FILE"));
}

int AnswerLog::finish(int code) const {
  if (problem_ == 0) return code;
  report_error(Error("[E141] Writing to the log {} failed: {}; the answers themselves are whole.",
                     {name_, system_message(problem_)}));
  return code == kDone ? kFailed : code;
}

}  // namespace aira
