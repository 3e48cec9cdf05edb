// Which requests a scheduler refuses because they can never be done.
#include <string>

#include "run/scheduler.h"

namespace aira {

void Scheduler::check_ids(std::span<const std::int32_t> ids) const {
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= model_.config.vocab) {
      throw Error("Token id " + std::to_string(id) + " is out of range 0.." +
                  std::to_string(model_.config.vocab - 1) +
                  "; if it came from a text, the model folder mixes files of different models.");
    }
  }
}

void Scheduler::check(const GenerateRequest& request) const {
  request.options.validate();
  request.options.check_vocabulary(model_.config.vocab);
  const std::int64_t context = model_.config.context;
  if (request.prompt.empty()) throw Error("The prompt is empty.");
  if (static_cast<std::int64_t>(request.prompt.size()) >= context) {
    throw Error("The question is too long: it takes " + std::to_string(request.prompt.size()) +
                " tokens with its markers, but the model's context holds " +
                std::to_string(context) + " including at least one of the answer.");
  }
  if (request.options.num_beams > slots()) {
    throw Error("A search with " + std::to_string(request.options.num_beams) +
                " beams needs as many sequences at once; this run has " + std::to_string(slots()) +
                " (" + option("batch") + ").");
  }
  check_ids(request.prompt);
}

void Scheduler::check(const ScoreRequest& request) const {
  const auto rows = static_cast<std::int64_t>(request.ids.size()) - 1;  // the last predicts nothing
  if (!request.rolling && rows > model_.config.context) {
    throw Error("The text is too long to score: it takes " + std::to_string(rows) +
                " tokens, but the model's context holds " + std::to_string(model_.config.context) +
                ".");
  }
  check_ids(request.ids);
}

}  // namespace aira
