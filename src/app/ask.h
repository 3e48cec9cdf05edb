// The options of the ways of asking, and the ways.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/command_line.h"

namespace aira {

class AnswerLog;

struct AskOptions : CommonOptions {
  std::optional<std::string> question;
  RequestChanges request;
  bool raw = false;
  bool plain = false;
  std::optional<std::string> form;   // --template
  std::vector<std::string> choices;  // --choose; none: the model writes
  bool history = false;
  bool numbered = false;
  bool stats = false;
  std::optional<double> carbon_intensity;  // grams of CO2 per kWh
  bool show_probs = false;
  bool no_stream = false;
  std::uint64_t drawn_seed = 0;  // counts when there is no --seed
  bool with_stdin = false;       // the text of stdin is part of the question
  bool whole = false;            // all of the input is one question
  std::optional<std::string> log_file;
  std::shared_ptr<AnswerLog> log;  // open from before the model is loaded; null: none
};

int run_chat(const AskOptions& options);
int run_pipe(const AskOptions& options);
int run_json_lines(const AskOptions& options);

}  // namespace aira
