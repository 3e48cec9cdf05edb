// score: log-likelihoods of continuations and texts as lm-evaluation-harness computes them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <utility>

#include "app/json_lines.h"
#include "app/model_lookup.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace aira {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr std::int64_t kMostAlternatives = 1000;

const Keys kKeys = {"context",     "continuation",     "continuations", "text",
                    "context_ids", "continuation_ids", "logprobs"};

struct ScoreOptions : CommonOptions {
  bool perplexity = false;
};

std::size_t size_without_blanks(std::string_view valid) {
  std::size_t size = valid.size();
  for (std::size_t before = size; before > 0; size = before) {
    if (!is_python_space(previous_code_point(valid, before))) break;
  }
  return size;
}

/// The ids of `after` behind those of `before`, or where there are none behind the end-of-text
/// token, in windows if need be.
ScoreRequest pair_of(const Engine& engine, std::vector<std::int32_t> before,
                     std::span<const std::int32_t> after) {
  const bool rolling = before.empty();
  if (rolling) before.push_back(engine.prompts().text_start());
  const auto first = std::ssize(before);
  before.insert(before.end(), after.begin(), after.end());
  return {.ids = std::move(before), .first = first, .rolling = rolling};
}

/// The ids of a text with what the tokenizer's own template puts around it; not when it begins with
/// the begin token already.
std::vector<std::int32_t> encoded(const Engine& engine, const std::string& text) {
  const Tokenizer& tokenizer = engine.tokenizer();
  const std::optional<std::int32_t> bos = tokenizer.roles().bos;
  const bool begun = bos && text.starts_with(tokenizer.decode({&*bos, 1}, false));
  return begun ? tokenizer.encode(text, Tokenizer::Added::kRecognise)
               : tokenizer.encode_with_template(text, Tokenizer::Added::kRecognise);
}

/// As lm-evaluation-harness encodes a pair: blanks at the end of the context belong to the
/// continuation, whose ids are those of the whole text less those of the context.
ScoreRequest encoded_pair(const Engine& engine, std::string context, const std::string& after) {
  const std::string whole = context + after;
  context.resize(size_without_blanks(context));
  if (context.empty()) {
    const auto ids = engine.tokenizer().encode(whole, Tokenizer::Added::kRecognise);
    const bool begun = !ids.empty() && ids.front() == engine.prompts().text_start();
    return begun ? ScoreRequest{.ids = ids} : pair_of(engine, {}, ids);
  }
  std::vector<std::int32_t> before = encoded(engine, context);
  const std::vector<std::int32_t> ids = encoded(engine, whole);
  return pair_of(engine, before, std::span(ids).subspan(std::min(before.size(), ids.size())));
}

/// What a line wants scored; several for "continuations".
std::vector<ScoreRequest> score_requests(const Engine& engine, const json& line) {
  Keys keys = keys_of(line, kKeys);
  keys.erase("logprobs");
  const JsonObject object(line, "The line");
  const auto context = [&] { return object.text("context").value_or(""); };
  std::vector<ScoreRequest> requests;
  if (keys == Keys{"text"}) {
    requests.push_back(pair_of(engine, {}, encoded(engine, *object.text("text"))));
  } else if (keys == Keys{"context", "continuation"}) {
    requests.push_back(encoded_pair(engine, context(), *object.text("continuation")));
  } else if (keys == Keys{"context", "continuations"}) {
    const json* list = object.find("continuations");
    const auto is_text = [](const json& one) { return one.is_string(); };
    if (!list->is_array() || !std::all_of(list->begin(), list->end(), is_text)) {
      object.fail("continuations", "a list of texts", *list);
    }
    for (const json& one : *list) {
      requests.push_back(encoded_pair(engine, context(), one.get<std::string>()));
    }
  } else if (keys == Keys{"continuation_ids"} || keys == Keys{"context_ids", "continuation_ids"}) {
    requests.push_back(
        pair_of(engine, token_ids(object, "context_ids"), token_ids(object, "continuation_ids")));
  } else {
    throw Error(
        "A line needs \"context\" and \"continuation\" or \"continuations\", or \"text\" alone, or "
        "\"context_ids\" and \"continuation_ids\".");
  }
  const auto logprobs = object.integer("logprobs", {0, kMostAlternatives});
  for (ScoreRequest& request : requests) request.logprobs = logprobs.value_or(-1);
  return requests;
}

ordered_json to_json(const Score& score) {
  return {{"logprob", score.logprob}, {"is_greedy", score.is_greedy}, {"tokens", tokens_of(score)}};
}

/// The parts between white space, as lm-evaluation-harness counts words.
std::int64_t count_words(const std::string& text) {
  std::int64_t words = 1;
  bool in_blanks = false;
  for (std::size_t at = 0; at < text.size();) {
    const bool blank = is_python_space(next_code_point(text, at));
    if (blank && !in_blanks) ++words;
    in_blanks = blank;
  }
  return words;
}

/// The whole input is one text.
int print_perplexity(Engine& engine, const ScoreOptions& options, const std::string& model) {
  const std::string text = LineReader(options.file).rest();
  if (text.empty()) throw Error("The text is empty, so it has no perplexity.");
  ScoreRequest request = pair_of(engine, {}, encoded(engine, text));
  const auto words = count_words(text);
  const auto print_score = [&](const Score& score) {
    const auto per = [&](auto count) { return -score.logprob / static_cast<double>(count); };
    print_json({{"model", model},
                {"logprob", score.logprob},
                {"tokens", score.tokens.size()},
                {"words", words},
                {"bytes", text.size()},
                {"perplexity", std::exp(per(score.tokens.size()))},
                {"word_perplexity", std::exp(per(words))},
                {"byte_perplexity", std::exp(per(text.size()))},
                {"bits_per_byte", per(text.size()) / std::log(2.0)}});
  };
  Listener listener;
  listener.scored = print_score;
  listener.failed = [](const Error& error) { throw Error(error); };
  engine.submit(std::move(request), std::move(listener)).wait();
  return kDone;
}

int run_score(const ScoreOptions& options) {
  LineLoop loop(options);
  const FoundModel model = find_model(options);
  Engine engine(engine_options(options, model, options.batch));
  if (options.perplexity) return print_perplexity(engine, options, model.name);
  loop.open_output(model);
  const auto begin = [&](const json& line, ordered_json& result) -> PrintAnswer {
    const bool several = line.contains("continuations");
    if (several) result["scores"] = ordered_json::array();
    std::vector<PrintAnswer> scores;
    for (ScoreRequest& request : score_requests(engine, line)) {
      scores.push_back(
          submit_score(engine, loop, std::move(request), [&, several](const Score& score) {
            several ? result["scores"].push_back(to_json(score)) : result.update(to_json(score));
          }));
    }
    return [&result, scores = std::move(scores), others = other_fields(line, kKeys)] {
      for (const PrintAnswer& one : scores) one();
      result.update(others);
    };
  };
  return loop.run_json(model.name, &engine, options.batch, begin);
}

}  // namespace

Action set_up_score(CLI::App& app) {
  const auto options = std::make_shared<ScoreOptions>();
  app.description(
      R"(aira-cli score [options]          Compute the log-likelihood of given texts
{"context", "continuation"}, {"text"} or {"context_ids", "continuation_ids"}
  -> {"logprob", "is_greedy", "tokens": [{"id", "logprob"}]}
{"context", "continuations": [...]} -> {"scores": [{"logprob", ...}]}, one for each
"logprobs": K in a line adds the K most probable tokens in the place of each: "top".
Pairs are tokenised as lm-evaluation-harness does it: together, blanks at the end of the context
belong to the continuation, and an empty context is the end-of-text token. A text without a context
may be longer than the model's context: it is scored in windows.)");
  app.footer(R"(Examples:
  echo '{"context": "A capital de Portugal é", "continuation": " Lisboa"}' | aira-cli score
  echo '{"context": "2 + 2 =", "continuations": [" 3", " 4"], "logprobs": 5}' | aira-cli score
  aira-cli score --perplexity -f livro.txt)");
  add_model_options(app, *options, true);
  add_file(app, *options, "One JSON object per line; - is stdin");
  app.add_flag("--perplexity", options->perplexity,
               "The input is one text: print its perplexities per token, word and byte");
  add_batch(app, *options);
  add_run_options(app, *options, "score");
  add_quiet(app, *options);
  app.final_callback([options] { check_run(*options, !options->perplexity); });
  return [options] { return run_score(*options); };
}

}  // namespace aira
