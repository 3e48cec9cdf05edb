// --log: what was asked and answered, one JSON line for each question, appended to a file.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/mapped_file.h"

namespace CLI {
class App;
}

namespace aira {

class AnswerLog {
 public:
  /// Throws Error when the file cannot be opened.
  explicit AnswerLog(const std::string& path);

  /// Adds the record with the time, in one write. A failure is for finish().
  void add(const nlohmann::ordered_json& record);
  /// The exit code of the run: `code`, or with a sentence on stderr kFailed when something could
  /// not be written.
  int finish(int code) const;

 private:
  std::string name_;  // for messages
  Descriptor file_;
  int problem_ = 0;  // errno of the first write that failed
};

/// --log
void add_log(CLI::App& app, std::optional<std::string>& file);

}  // namespace aira
