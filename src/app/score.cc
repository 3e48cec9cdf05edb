// score: log-likelihoods of continuations and texts as lm-evaluation-harness computes them.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "app/json_lines.h"
#include "app/model_lookup.h"
#include "app/pieces.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace aira {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr std::int64_t kMostAlternatives = 1000;
constexpr int kBarBits = 24;  // one cell of a bar is a bit

const Keys kKeys = {"context",     "continuation",     "continuations", "text",
                    "context_ids", "continuation_ids", "logprobs"};

struct ScoreOptions : CommonOptions {
  bool perplexity = false;
  bool tokens = false;
  std::optional<std::string> text;  // in place of -f or stdin
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
  const JsonObject object(line, message("The line"));
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
      object.fail("continuations", message("a list of texts"), *list);
    }
    for (const json& one : *list) {
      requests.push_back(encoded_pair(engine, context(), one.get<std::string>()));
    }
  } else if (keys == Keys{"continuation_ids"} || keys == Keys{"context_ids", "continuation_ids"}) {
    requests.push_back(
        pair_of(engine, token_ids(object, "context_ids"), token_ids(object, "continuation_ids")));
  } else {
    throw Error("[E270] A line needs {} and {} or {}, or {} alone, or {} and {}.",
                {quote("context"), quote("continuation"), quote("continuations"), quote("text"),
                 quote("context_ids"), quote("continuation_ids")});
  }
  const auto logprobs = object.integer("logprobs", {0, kMostAlternatives});
  for (ScoreRequest& request : requests) request.logprobs = logprobs.value_or(-1);
  return requests;
}

void set_score(JsonText& to, const Score& score) {
  to.set("logprob", score.logprob);
  to.set("is_greedy", score.is_greedy);
  to.set_list("tokens", tokens_of(score));
}

/// The text of --text, -f or stdin.
std::string whole_text(const ScoreOptions& options) {
  std::string text = options.text ? valid_utf8(*options.text) : LineReader(options.file).rest();
  if (text.empty()) throw Error("[E272] The text is empty, so it has no log-likelihood.");
  return text;
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

void print_perplexity(const Score& score, const std::string& text, const std::string& model) {
  const auto words = count_words(text);
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
}

/// As many cells as there are bits, to an eighth of a cell.
std::string bar(double bits) {
  constexpr std::array<const char*, 8> kParts = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(8 * std::clamp<double>(bits, 0, kBarBits));
  std::string cells;
  for (int cell = 0; cell < kBarBits; ++cell) {
    cells += eighths >= 8 * (cell + 1) ? "█" : kParts[std::max(0, eighths - 8 * cell)];
  }
  return cells;
}

/// A line for each token: its surprisal in bits and its text; on a terminal with a bar, else with
/// its id, between tabs.
void print_tokens(const Score& score, const Tokenizer& tokenizer, bool quiet) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  const auto bits_of = [](double logprob) { return -logprob / std::log(2.0); };
  for (const auto& [id, logprob] : score.tokens) {
    const double bits = bits_of(logprob);
    const std::string text = piece_text(tokenizer.bytes(id), true);
    print(terminal ? format("%7.2f ", bits) + bar(bits) + " " + text + "\n"
                   : format("%.4f\t%d\t", bits, id) + text + "\n");
  }
  if (quiet) return;
  const auto count = static_cast<double>(score.tokens.size());
  note(message("{} tokens, {} bits, {} bits per token, perplexity {}.",
               {std::to_string(score.tokens.size()), format("%.1f", bits_of(score.logprob)),
                format("%.2f", bits_of(score.logprob) / count),
                format("%.4g", std::exp(-score.logprob / count))}));
}

/// The whole input is one text.
int score_text(Engine& engine, const ScoreOptions& options, const std::string& model) {
  const std::string text = whole_text(options);
  Listener listener;
  listener.scored = [&](const Score& score) {
    if (options.tokens) return print_tokens(score, engine.tokenizer(), options.quiet);
    print_perplexity(score, text, model);
  };
  listener.failed = [](const Error& error) { throw Error(error); };
  engine.submit(pair_of(engine, {}, encoded(engine, text)), std::move(listener)).wait();
  return kDone;
}

/// Refuses options that mean nothing together.
void check(const ScoreOptions& options) {
  if (options.tokens && options.perplexity) {
    throw UsageError("[E273] {} and {} print different things; use one of them.",
                     {"--tokens", "--perplexity"});
  }
  if (options.text && options.file) {
    throw UsageError("[E274] {} and {} both bring the text; use one of them.",
                     {"--text", "--file"});
  }
  if (options.text && !options.tokens && !options.perplexity) {
    throw UsageError("[E275] {} is one text, for {} or {}; without these, JSON lines are read.",
                     {"--text", "--tokens", "--perplexity"});
  }
}

int run_score(const ScoreOptions& options) {
  LineLoop loop(options);
  const FoundModel model = find_model(options);
  Engine engine(engine_options(options, model, options.batch));
  if (options.perplexity || options.tokens) return score_text(engine, options, model.name);
  loop.open_output(model);
  const auto begin = [&](const json& line, JsonText& result) -> PrintAnswer {
    const bool several = line.contains("continuations");
    const auto texts = std::make_shared<std::vector<std::string>>();  // of "continuations"
    std::vector<PrintAnswer> scores;
    for (ScoreRequest& request : score_requests(engine, line)) {
      scores.push_back(submit_score(engine, loop, std::move(request),
                                    [&result, several, texts](const Score& score) {
                                      JsonText one;
                                      set_score(several ? one : result, score);
                                      if (several) texts->push_back(one.object());
                                    }));
    }
    return
        [&result, several, texts, scores = std::move(scores), others = other_fields(line, kKeys)] {
          for (const PrintAnswer& one : scores) one();
          if (several) result.set_list("scores", *texts);
          result.set_all(others);
        };
  };
  return loop.run_json(model.name, &engine, options.batch, begin);
}

}  // namespace

Action set_up_score(CLI::App& app) {
  const auto options = std::make_shared<ScoreOptions>();
  app.description(message(
      R"(aira-cli score [options]          Compute the log-likelihood of given texts
{"context", "continuation"}, {"text"} or {"context_ids", "continuation_ids"}
  -> {"logprob", "is_greedy", "tokens": [{"id", "logprob"}]}
{"context", "continuations": [...]} -> {"scores": [...]}, one for each
"logprobs": K in a line adds the K most probable tokens in the place of each:
"top". Pairs are tokenised as lm-evaluation-harness does it: together, blanks
at the end of the context belong to the continuation, and an empty context is
the end-of-text token. A text without a context may be longer than the model's
context: it is scored in windows.)"));
  app.footer(message("Examples:") + R"(
  echo '{"context": "2 + 2 =", "continuations": [" 3", " 4"]}' | aira-cli score
  aira-cli score --tokens --text "A capital de Portugal é Lisboa."
  aira-cli score --perplexity -f livro.txt)");
  add_model_options(app, *options, true);
  add_file(app, *options, message("One JSON object per line; - is stdin").c_str());
  app.option_defaults()->group(message("Input"));
  add_text(app, "--text", options->text, "TEXT",
           message("One text, in place of a file or stdin").c_str());
  app.option_defaults()->group(message("Output"));
  app.add_flag("--perplexity", options->perplexity,
               message("Of one text: perplexity per token, word, byte"));
  app.add_flag("--tokens", options->tokens,
               message("Of one text: surprisal of each token in bits"));
  app.option_defaults()->group(message("Model"));
  add_batch(app, *options);
  add_run_options(app, *options, "score");
  add_quiet(app, *options);
  app.final_callback([options] {
    check_run(*options, !options->perplexity && !options->tokens);
    check(*options);
  });
  return [options] { return run_score(*options); };
}

}  // namespace aira
