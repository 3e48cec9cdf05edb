#include "app/show_probs.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <utility>

#include "app/ask.h"
#include "app/output.h"
#include "app/pieces.h"
#include "base/printable.h"
#include "base/utf8.h"

namespace aira {
namespace {

/// Tokens of at least this probability, and their colours. Both colours are set, so that a token
/// can be read on any background; each step is darker than the one before it, so that it can be
/// told apart without seeing hues. What the model is sure of has no colour.
struct Level {
  double least;
  const char* colour;
  const char* name;
};
constexpr std::array<Level, 5> kLevels = {{{0.9, "", "≥ 90 %"},
                                           {0.5, "\x1b[38;5;16;48;5;229m", "≥ 50 %"},
                                           {0.2, "\x1b[38;5;16;48;5;214m", "≥ 20 %"},
                                           {0.05, "\x1b[38;5;16;48;5;166m", "≥ 5 %"},
                                           {0, "\x1b[38;5;231;48;5;90m", "< 5 %"}}};
constexpr const char* kPlain = "\x1b[0m";

std::string percent(double logprob) {
  const double share = 100 * std::exp(logprob);
  return format("%5s %%", share < 0.05 ? "<0.1" : format("%.1f", share).c_str());
}

std::string coloured(const char* colour, std::string_view text) {
  return *colour == '\0' ? std::string(text) : colour + std::string(text).append(kPlain);
}

/// The text of an answer and its tokens, each of which comes before the text that it completes.
/// Tokens that are whole characters only together count as one.
class ColouredText {
 public:
  void add_token(std::string_view bytes, double logprob) {
    unit_.bytes += bytes;
    unit_.logprob += logprob;
    std::string letters;
    const std::size_t whole = append_whole_letters(unit_.bytes, letters);
    if (whole == unit_.bytes.size()) complete();
  }
  /// Takes a piece of the text, of which the first may begin later than the tokens do; returns it
  /// as far as its tokens are whole, in colours or with numbers.
  std::string add_text(std::string_view piece) {
    text_ += piece;
    std::string shown;
    while (!text_.empty() && !units_.empty()) shown += show_part();
    return shown;
  }
  /// Ends the answer.
  std::string finish() {
    complete();
    std::string shown = add_text("");
    shown += without_controls(text_);
    if (begun_) shown += number(units_.front());
    return shown;
  }

 private:
  struct Unit {
    std::string bytes;
    double logprob = 0;
  };

  void complete() {
    if (unit_.bytes.empty()) return;
    unit_.bytes = valid_utf8(unit_.bytes);
    units_.push_back(std::exchange(unit_, {}));
  }
  static std::string number(const Unit& unit) {
    return colours() ? "" : format("[%.0f]", 100 * std::exp(unit.logprob));
  }
  /// Shows what text and the first unit have in common, or drops what only the unit has.
  std::string show_part() {
    Unit& unit = units_.front();
    const auto differs =
        std::mismatch(text_.begin(), text_.end(), unit.bytes.begin(), unit.bytes.end());
    const auto size = static_cast<std::size_t>(differs.first - text_.begin());
    if (size == 0) {  // white space that is not part of the answer
      unit.bytes.erase(0, 1);
      if (unit.bytes.empty()) units_.pop_front();
      return "";
    }
    const auto* const level = std::find_if(kLevels.begin(), kLevels.end() - 1, [&](const Level& l) {
      return std::exp(unit.logprob) >= l.least;
    });
    std::string shown = coloured(colours() ? level->colour : "",
                                 without_controls(std::string_view(text_).substr(0, size)));
    text_.erase(0, size);
    unit.bytes.erase(0, size);
    begun_ = !unit.bytes.empty();
    if (begun_) return shown;
    shown += number(unit);
    units_.pop_front();
    return shown;
  }

  Unit unit_;               // not whole yet
  std::deque<Unit> units_;  // whose text has not been shown to its end
  std::string text_;        // not shown yet
  bool begun_ = false;      // the first unit has been shown in part
};

/// Under an answer: the alternatives to each token, where they were asked for, or to the choice.
std::string alternatives(const Answer& answer, const Tokenizer& tokenizer) {
  std::string table;
  const auto cell = [&](const TokenLogProbability& token) {
    return percent(token.log_probability) + " " + piece_text(tokenizer.bytes(token.token), true);
  };
  for (const Choice& choice : answer.choices) {
    if (choice.top.empty()) continue;
    table += "\n  " + cell(choice.chosen) + "  |";
    for (const TokenLogProbability& other : choice.top) {
      if (other.token != choice.chosen.token) table += "  " + cell(other);
    }
  }
  for (const RatedText& one : answer.candidates) {
    table +=
        "\n  " + percent(std::log(one.probability)) + "  " + without_controls(one_line(one.text));
  }
  return table;
}

void print_legend() {
  if (!colours()) {
    return note(message("the number behind a token is its probability in percent."));
  }
  std::string samples;
  for (const Level& level : kLevels) {
    samples += " " + coloured(level.colour, " " + std::string(level.name) + " ");
  }
  // note() would take the colours away.
  print_aside("aira-cli: " + message("probability of a token:{}", {samples}) + "\n");
}

}  // namespace

void add_show_probs(CLI::App& app, AskOptions& options) {
  app.add_flag("--show-probs", options.show_probs, message("Colour tokens by their probability"));
}

void check_show_probs(const AskOptions& options, bool chat) {
  if (!options.show_probs) return;
  GenerateOptions asked = options.request.tentative();
  ShowProbs(options).ask_for(asked);
  if (::isatty(STDOUT_FILENO) == 1 && (chat || options.question)) return;
  throw UsageError(
      "[E268] {} colours the answer to a question, or a chat, on a terminal; {} with {} prints the "
      "probabilities of many answers.",
      {"--show-probs", "--jsonl", option("logprobs")});
}

ShowProbs::ShowProbs(const AskOptions& options)
    : on_(options.show_probs), legend_due_(!options.quiet && ::isatty(STDERR_FILENO) == 1) {}

void ShowProbs::ask_for(GenerateOptions& options) const {
  if (!on_) return;
  const char* clash = options.num_beams > 1 ? "num_beams" : options.best_of > 1 ? "best_of" : "";
  if (*clash != '\0') {
    throw UsageError(
        "[E269] {} does not go with {}: it shows the tokens of an answer as they are written.",
        {"--show-probs", option(clash)});
  }
  options.logprobs = std::max<std::int64_t>(options.logprobs, 0);
}

Listener ShowProbs::wrap(Listener listener, const Tokenizer& tokenizer) {
  if (!on_) return listener;
  if (std::exchange(legend_due_, false)) print_legend();
  const auto answers = std::make_shared<std::map<std::size_t, ColouredText>>();
  Listener wrapped = listener;
  wrapped.token = [answers, &tokenizer](std::size_t number, const Choice& token) {
    const auto& [id, logprob] = token.chosen;
    if (!tokenizer.is_special(id)) (*answers)[number].add_token(tokenizer.bytes(id), logprob);
  };
  wrapped.text = [answers, show = listener.text](std::size_t number, std::string_view piece) {
    show(number, (*answers)[number].add_text(piece));
  };
  wrapped.finished = [answers, &tokenizer, listener](std::size_t number, const Answer& answer) {
    listener.text(number, (*answers)[number].finish() + alternatives(answer, tokenizer));
    listener.finished(number, answer);
  };
  return wrapped;
}

}  // namespace aira
