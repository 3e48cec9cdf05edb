// Bodies of the server's endpoints.
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "fuzz.h"
#include "server/api_error.h"
#include "server/completion_request.h"
#include "tiny_model.h"

using namespace aira;

FUZZ_TARGET(openai) {
  static ServedModel model({.files = fuzz::tiny_model_files(),
                            .device = Device::kCpu,
                            .dtype = DType::kF32,
                            .threads = 1,
                            .max_sequences = 4},
                           "tiny", {});
  if (input.empty()) return;
  const int what = input.front() & 3;
  try {
    fuzz::accepts([&] {
      const nlohmann::json body = parse_json(input.substr(1), "The request");
      static_cast<void>(JsonObject(body, "The request"));
      if (what < 2) {
        const CompletionRequest request = read_completion(body, what == 1, model);
        for (const auto& prompt : request.prompts) FUZZ_CHECK(!prompt.empty());
        request.options.validate();
      } else if (what == 2) {
        read_text_to_tokenize(body, model);
      } else {
        model.engine.tokenizer().decode(read_ids_to_detokenize(body, model), false);
      }
    });
  } catch (const ApiError& error) {
    FUZZ_CHECK(!error.message.empty() && !error.body().dump().empty());
  }
}
