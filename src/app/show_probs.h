// --show-probs: answers on a terminal, each token coloured by its probability.
#pragma once

#include <string>

#include "aira/engine.h"

namespace CLI {
class App;
}

namespace aira {

struct AskOptions;

/// --show-probs
void add_show_probs(CLI::App& app, AskOptions& options);
/// Throws UsageError for what does not go with --show-probs. `chat`: on a terminal.
void check_show_probs(const AskOptions& options, bool chat);

class ShowProbs {
 public:
  explicit ShowProbs(const AskOptions& options);

  /// Asks for what is shown. Throws UsageError for beams and the best of several.
  void ask_for(GenerateOptions& options) const;
  /// `listener` with the texts of the answers in colours, and under each answer the alternatives to
  /// its tokens, if it has any, or to what was chosen. Without --show-probs the same listener.
  Listener wrap(Listener listener, const Tokenizer& tokenizer);

 private:
  bool on_;
  bool legend_due_;
};

}  // namespace aira
