// One question: its answer is streamed to stdout as the tokens come.
#include "app/commands.h"
#include "app/engine.h"
#include "app/interrupt.h"

namespace aira {

int run_one_shot(const Options& options) {
  Engine engine(options);
  const GenerateOptions request = engine.generate_options();
  catch_interrupts();
  const std::vector<Answer> answers = engine.stream(engine.prompt(*options.question), request);
  return answers.back().finish == FinishReason::kInterrupted ? kInterrupted : kDone;
}

}  // namespace aira
