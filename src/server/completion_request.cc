#include "server/completion_request.h"

#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string_view>

#include "base/json.h"
#include "base/printable.h"
#include "run/json_options.h"
#include "run/messages_field.h"
#include "server/api_error.h"

namespace aira {

using nlohmann::json;

namespace {

constexpr std::int64_t kMostLogprobs = 1000;
constexpr std::int64_t kMostChoices = 1024;  // of one request: prompts times answers
/// Of one request; a response is in memory as a whole, and the chat's takes up to 1 kB for each.
constexpr std::int64_t kMostLogprobsInAll = 1'000'000;
constexpr std::int64_t kMostLogprobsInChat = 200'000;

/// Fields that change no answer.
const std::set<std::string_view> kUnused = {
    "model",        "user",           "metadata",         "store",  "safety_identifier",
    "service_tier", "stream_options", "prompt_cache_key", "stream", "parallel_tool_calls"};

/// Fields that this program does not honour, unless their value asks for nothing.
struct Refused {
  const char* field;
  std::array<const char*, 3> harmless;
};
const Refused kRefused[] = {
    {"suffix", {R"("")", "null", "null"}},
    {"tools", {"[]", "null", "null"}},
    {"tool_choice", {R"("none")", R"("auto")", "null"}},
    {"functions", {"[]", "null", "null"}},
    {"function_call", {R"("none")", R"("auto")", "null"}},
    {"response_format", {R"({"type":"text"})", "null", "null"}},
    {"modalities", {R"(["text"])", "null", "null"}},
    {"audio", {"null", "null", "null"}},
    {"prediction", {"null", "null", "null"}},
    {"web_search_options", {"null", "null", "null"}},
};

/// Fields that this file reads by itself.
const std::set<std::string_view> kOwn = {"prompt",       "messages", "echo",    "logprobs",  "seed",
                                         "top_logprobs", "stop",     "history", "prefix_ids"};

/// A list of token ids, at least one. Throws ApiError.
std::vector<std::int32_t> ids_in(const json& list, const char* field, const ServedModel& model) {
  const std::int64_t size = model.engine.info().vocabulary;
  std::vector<std::int32_t> ids;
  bool legal = list.is_array() && !list.empty();
  for (const json& id : legal ? list : json::array()) {
    legal = legal && id.is_number_integer() && id >= 0 && id < size;
    if (legal) ids.push_back(id.get<std::int32_t>());
  }
  if (legal) return ids;
  throw bad_request(Error("[E764] {} must be a list of token ids below {}, not {}.",
                          {quote(field), std::to_string(size), printable(list.dump(), 120)}),
                    field);
}

class Reader {
 public:
  Reader(const json& body, bool chat, ServedModel& model) : body_(body), model_(model) {
    request_.chat = chat;
    request_.keep_space = !chat;
  }

  CompletionRequest read() {
    sort_fields();
    read_stream();
    read_logprobs();
    read_options();
    request_.chat ? read_messages() : read_prompt();
    check_lengths();
    return std::move(request_);
  }

 private:
  /// The value of a field; null where it is missing.
  const json& field(const char* name) const {
    static const json null;
    const auto found = body_.find(name);
    return found == body_.end() ? null : *found;
  }

  bool flag(const char* name) const {
    const json& value = field(name);
    if (value.is_null()) return false;
    if (!value.is_boolean()) {
      throw bad_request(Error("[E755] {} must be true or false, not {}.",
                              {quote(name), printable(value.dump(), 120)}),
                        name);
    }
    return value.get<bool>();
  }

  /// A whole number from 0 to `most`, or -1.
  std::int64_t count(const char* name, std::int64_t most) const {
    const json& value = field(name);
    if (value.is_null()) return -1;
    if (!value.is_number_integer() || value < 0 || value > most) {
      throw bad_request(Error("[E756] {} must be a whole number from 0 to {}, not {}.",
                              {quote(name), std::to_string(most), printable(value.dump(), 120)}),
                        name);
    }
    return value.get<std::int64_t>();
  }

  void sort_fields() {
    for (const Refused& row : kRefused) {
      const json& value = field(row.field);
      if (value.is_null()) continue;
      bool harmless = false;
      for (const char* one : row.harmless) harmless |= value == json::parse(one);
      if (harmless) continue;
      throw bad_request(Error("[E757] {} is not supported; leave it out.", {quote(row.field)}),
                        row.field);
    }
    for (const auto& [key, value] : body_.items()) {
      const bool refused =
          std::any_of(std::begin(kRefused), std::end(kRefused),
                      [&name = key](const Refused& row) { return name == row.field; });
      if (refused || kUnused.contains(key) || kOwn.contains(key)) continue;
      if (option_of(key) != nullptr) {
        if (!value.is_null()) options_[key] = value;
        continue;
      }
      request_.ignored += (request_.ignored.empty() ? "" : ", ") + key;
    }
  }

  void read_stream() {
    request_.stream = flag("stream");
    const json& options = field("stream_options");
    if (options.is_null()) return;
    if (!options.is_object() || !options.value("include_usage", json(false)).is_boolean()) {
      throw bad_request(Error("[E758] {} must be an object such as {}.",
                              {quote("stream_options"), R"({"include_usage": true})"}),
                        "stream_options");
    }
    request_.include_usage = request_.stream && options.value("include_usage", false);
  }

  void read_logprobs() {
    if (request_.chat) {
      const std::int64_t top = count("top_logprobs", kMostLogprobs);
      const bool wanted = flag("logprobs");
      if (top > 0 && !wanted) {
        throw bad_request(
            Error("[E759] {} needs {}.", {quote("top_logprobs"), "\"logprobs\": true"}),
            "top_logprobs");
      }
      if (wanted) request_.logprobs = std::max<std::int64_t>(top, 0);
      if (flag("echo")) {
        throw bad_request(Error("[E757] {} is not supported; leave it out.", {quote("echo")}),
                          "echo");
      }
      return;
    }
    request_.echo = flag("echo");
    if (field("logprobs") != json(false)) request_.logprobs = count("logprobs", kMostLogprobs);
  }

  void read_seed() {
    const json& value = field("seed");
    if (value.is_null()) {
      const bool given = model_.changes.has(request_option("seed"));
      if (!given) options_["seed"] = std::random_device()();
    } else if (value.is_number_unsigned()) {
      options_["seed"] = value;
    } else if (value.is_number_integer()) {
      options_["seed"] = static_cast<std::uint64_t>(value.get<std::int64_t>());
    } else {
      throw bad_request(Error("[E760] {} must be a whole number, not {}.",
                              {quote("seed"), printable(value.dump(), 120)}),
                        "seed");
    }
  }

  void read_stop() {
    json stop = field("stop");
    if (stop.is_null() || stop.empty()) return;  // a list of none
    options_["stop"] = std::move(stop);
  }

  /// A limit of 0 asks for no token, which is no legal option.
  void read_no_tokens() {
    for (const char* name : {"max_tokens", "max_completion_tokens", "max_new_tokens"}) {
      if (field(name) != json(0)) continue;
      if (request_.echo) {
        request_.generates = false;
        options_.erase(name);
      }
    }
  }

  void read_options() {
    read_seed();
    read_stop();
    read_no_tokens();
    for (const auto& [key, value] : options_.items()) {
      RequestChanges alone;
      alone.begin(Source::kLine);
      if (alone.try_field(*option_of(key), value)) continue;
      throw bad_request(
          Error("[E123] {} must be {}, not {}.",
                {quote(key), message(option_of(key)->range.words), printable(value.dump(), 120)}),
          key);
    }
    try {
      request_.options = options_of(model_.changes, model_.defaults, options_);
    } catch (const Error& error) {
      throw bad_request(error);
    }
    request_.options.logprobs = request_.logprobs;
    if (request_.options.best_of > 1 && request_.stream) {
      throw bad_request(
          Error("[E761] {} cannot be streamed: which answer is the best is known at the end.",
                {quote("best_of")}),
          "best_of");
    }
    if (request_.options.num_beams > 1 && request_.logprobs >= 0) {
      throw bad_request(
          Error("[E762] {} does not go with {}.", {quote("logprobs"), quote("num_beams")}),
          "logprobs");
    }
  }

  void read_prompt() {
    const json& prompt = field("prompt");
    if (prompt.is_null()) {
      throw bad_request(Error("[E763] A completion needs {}.", {quote("prompt")}), "prompt");
    }
    const bool several = prompt.is_array() && !prompt.empty() && !prompt[0].is_number();
    if (!several) return add_prompt(prompt);
    for (const json& one : prompt) add_prompt(one);
  }

  void add_prompt(const json& prompt) {
    if (prompt.is_string()) {
      try {
        request_.prompts.push_back(model_.engine.prompts().raw(prompt.get<std::string>()));
      } catch (const Error& error) {
        throw refused_prompt(error, "prompt");
      }
      return;
    }
    request_.prompts.push_back(ids_in(prompt, "prompt", model_));
  }

  static ApiError refused_prompt(const Error& error, const char* name) {
    ApiError refusal = bad_request(error, name);
    if (error.id() == "E687") refusal.code = "context_length_exceeded";
    return refusal;
  }

  void read_messages() {
    if (field("messages").is_null()) {
      throw bad_request(Error("[E763] A completion needs {}.", {quote("messages")}), "messages");
    }
    try {
      Messages dialogue = messages_of(field("messages"));
      const Prompts& prompts = model_.engine.prompts();
      const bool has_place = !prompts.has_markers() && model_.form.empty();
      const bool keeps = field("history").is_null() ? model_.keep_turns : flag("history");
      if (!has_place && !keeps) dialogue.turns.clear();
      if (!has_place && model_.system == SystemRole::kPrepend && !dialogue.system.empty()) {
        std::string& first =
            dialogue.turns.empty() ? dialogue.question : dialogue.turns.front().first;
        first = dialogue.system + "\n" + first;
      }
      if (!has_place && model_.system != SystemRole::kRefuse) dialogue.system.clear();
      request_.prompts.push_back(
          prompts.question(dialogue.question, dialogue.turns, model_.form, dialogue.system));
      add_prefix(request_.prompts.back());
    } catch (const Error& error) {
      if (error.id() == "E028") {
        throw bad_request(
            Error("[E765] The model {} knows no questions and answers; send the text that it is "
                  "to go on from to /v1/completions.",
                  {quote(model_.id)}),
            "messages");
      }
      throw refused_prompt(error, "messages");
    }
  }

  /// Token ids that the answer begins with.
  void add_prefix(std::vector<std::int32_t>& prompt) {
    if (field("prefix_ids").is_null()) return;
    const auto prefix = ids_in(field("prefix_ids"), "prefix_ids", model_);
    prompt.insert(prompt.end(), prefix.begin(), prefix.end());
    request_.keep_space = true;
  }

  /// Nothing is cut: what was asked for fits, or is refused. Where no limit was asked for, an
  /// answer has what room there is.
  void check_lengths() const {
    const std::int64_t context = model_.engine.info().context;
    std::int64_t asked = request_.generates ? 1 : 0;
    for (const auto& [key, value] : options_.items()) {
      if (option_of(key) == &request_option("max_new_tokens")) {
        asked = request_.options.max_new_tokens;
      }
    }
    if (std::ssize(request_.prompts) * request_.options.answers > kMostChoices) {
      throw bad_request(Error("[E767] A request may ask for at most {} answers, prompts times {}.",
                              {std::to_string(kMostChoices), quote("n")}),
                        "n");
    }
    for (const auto& prompt : request_.prompts) {
      const std::int64_t length = std::ssize(prompt);
      if (length + asked <= context) continue;
      throw ApiError{
          400,
          message("The prompt has {} tokens and the answer may have {}; together they must fit the "
                  "model's context of {}.",
                  {std::to_string(length), std::to_string(asked), std::to_string(context)}),
          request_.chat ? "messages" : "prompt", "context_length_exceeded"};
    }
    if (request_.logprobs > 0) check_logprobs(context);
  }

  void check_logprobs(std::int64_t context) const {
    std::int64_t tokens = 0;
    for (const auto& prompt : request_.prompts) {
      const std::int64_t room = context - std::ssize(prompt);
      const std::int64_t answer =
          request_.generates ? std::min(request_.options.max_new_tokens, room) : 0;
      tokens += request_.options.answers * answer + (request_.echo ? std::ssize(prompt) : 0);
    }
    const std::int64_t most = request_.chat ? kMostLogprobsInChat : kMostLogprobsInAll;
    if (tokens * request_.logprobs <= most) return;
    const char* name = request_.chat ? "top_logprobs" : "logprobs";
    throw bad_request(
        Error("[E688] {} of {} for {} tokens are too many: together at most {} can be given.",
              {quote(name), std::to_string(request_.logprobs), std::to_string(tokens),
               std::to_string(most)}),
        name);
  }

  const json& body_;
  ServedModel& model_;
  json options_ = json::object();  // fields that are request options
  CompletionRequest request_;
};

}  // namespace

ServedModel::ServedModel(EngineOptions options, std::string name, const RequestChanges& given)
    : id(std::move(name)),
      engine(std::move(options)),
      defaults(engine.defaults()),
      changes(given) {}

CompletionRequest read_completion(const json& body, bool chat, ServedModel& model) {
  try {
    return Reader(body, chat, model).read();
  } catch (const Error& error) {
    throw bad_request(error);
  }
}

std::vector<std::int32_t> read_text_to_tokenize(const json& body, ServedModel& model) {
  const JsonObject object(body, message("The request"));
  const auto prompt = object.text("prompt");
  const auto content = object.text("content");
  if (prompt.has_value() == content.has_value()) {
    throw bad_request(Error("[E766] The request needs {} or {}, one of them.",
                            {quote("prompt"), quote("content")}),
                      "prompt");
  }
  const bool added = object.boolean("add_special_tokens").value_or(true);
  const std::string& text = prompt ? *prompt : *content;
  return added ? model.engine.tokenizer().encode_with_template(text, Tokenizer::Added::kRecognise)
               : model.engine.tokenizer().encode(text, Tokenizer::Added::kRecognise);
}

std::vector<std::int32_t> read_ids_to_detokenize(const json& body, ServedModel& model) {
  const auto tokens = body.find("tokens");
  return ids_in(tokens == body.end() ? json() : *tokens, "tokens", model);
}

}  // namespace aira
