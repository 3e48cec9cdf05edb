// One question: its answer is streamed to stdout as the tokens come.
#include "app/commands.h"
#include "app/engine.h"
#include "app/interrupt.h"
#include "app/output.h"

namespace aira {

int run_one_shot(const Options& options) {
  Engine engine(options);
  const Request request = engine.request();
  const std::vector<std::int32_t> prompt = engine.prompt(*options.question);
  catch_interrupts();
  for (std::int64_t i = 0; i < request.answers; ++i) {
    const Answer answer = engine.answer(prompt, request, i, print);
    print("\n");
    if (answer.finish == FinishReason::kInterrupted) return kInterrupted;
    engine.print_stats(answer, request);
  }
  return kDone;
}

}  // namespace aira
