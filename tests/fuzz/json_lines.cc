// Lines of --jsonl up to the request that the engine gets, those of OpenAI's batches too.
#include "app/answering.h"
#include "app/choose.h"
#include "app/json_request.h"
#include "app/openai_batch.h"
#include "fuzz.h"
#include "run/json_options.h"
#include "tiny_model.h"

using namespace aira;
using nlohmann::json;

namespace {

const AskOptions& options() {
  static const AskOptions all = [] {
    ::setenv("AIRA_CONFIG", "off", 1);
    ::setenv("AIRA_CACHE", "off", 1);
    AskOptions made;
    made.model = fuzz::tiny_model_folder();
    made.device = Device::kCpu;
    made.dtype = DType::kF32;
    made.threads = 1;
    made.batch = 4;
    made.quiet = made.json = true;
    return made;
  }();
  return all;
}

}  // namespace

FUZZ_TARGET(json_lines) {
  static Answering answering(options(), true);
  const std::string text(input);
  fuzz::accepts([&] {
    const json given = parse_json(text, "The line");
    static_cast<void>(JsonObject(given, "The line"));
    failure_of(given, 1);
    const json line = is_openai(given) ? from_openai(given) : given;
    other_fields(line, request_keys());
    const GenerateOptions asked = options_of(options().request, answering.defaults(), line);
    auto [key, request] = request_of(answering, line, asked);
    request.candidates = choices_of(options(), line);
    FUZZ_CHECK(line.contains(key) && !request.prompt.empty());
    request.options.validate();
  });
}
