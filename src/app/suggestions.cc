#include "app/suggestions.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "aira/error.h"
#include "app/command_line.h"
#include "base/nearest.h"
#include "base/printable.h"

namespace aira {
namespace {

/// Other programs' options: llama.cpp's, ollama's, vLLM's, llm's, transformers'. The names of
/// request options there are known to similar_option().
constexpr auto kElsewhere = std::to_array<std::array<std::string_view, 2>>({
    {"b", "batch"},
    {"batch-size", "batch"},
    {"chat-template", "template"},
    {"prompt-template", "template"},
    {"input", "file"},
    {"input-file", "file"},
    {"prompt-file", "file"},
    {"model-path", "model"},
    {"model-id", "model"},
    {"hf-repo", "model"},
    {"hf", "model"},
    {"lora", "adapter"},
    {"n-threads", "threads"},
    {"num-threads", "threads"},
    {"precision", "dtype"},
    {"quantize", "dtype"},
    {"quantization", "dtype"},
    {"load-in-8bit", "dtype"},
    {"silent", "quiet"},
    {"v", "stats"},
    {"verbose", "stats"},
});

/// What other programs have an option for and this one has not; a whole sentence.
struct Advice {
  std::array<std::string_view, 6> names;
  const char* sentence;
};

constexpr auto kAdvice = std::to_array<Advice>({
    {{"p", "prompt", "question", "user"},
     to_translate("a question stands by itself, without an option: aira-cli \"QUESTION\".")},
    {{"s", "sys", "system", "system-prompt"},
     to_translate("models of this kind know no system prompt; --template puts a question into a "
                  "text of your own.")},
    {{"stream"}, to_translate("answers are streamed as they are written.")},
    {{"c", "ctx-size", "n-ctx", "num-ctx", "context", "max-seq-len"},
     to_translate("how much text fits in is up to the model; aira-cli info shows it.")},
    {{"ngl", "n-gpu-layers", "gpu-layers", "gpu", "cuda"},
     to_translate("--device cuda runs the whole model on a GPU.")},
    {{"cpu", "no-cuda"}, to_translate("--device cpu runs the model on the CPU.")},
    {{"i", "interactive", "cnv", "conversation"},
     to_translate("on a terminal, aira-cli without a question is a chat.")},
});

/// "top-k" of "--top_k=5", "-top_k" and "top_k".
std::string bare(std::string_view word) {
  word = word.substr(0, word.find('='));
  word.remove_prefix(std::min(word.find_first_not_of('-'), word.size()));
  std::string name(word);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

const Advice* advice_on(const std::string& name) {
  const auto* const found = std::find_if(kAdvice.begin(), kAdvice.end(), [&](const Advice& one) {
    return !name.empty() && std::find(one.names.begin(), one.names.end(), name) != one.names.end();
  });
  return found == kAdvice.end() ? nullptr : found;
}

std::string elsewhere(const std::string& name) {
  const auto* const found = std::find_if(kElsewhere.begin(), kElsewhere.end(),
                                         [&](const auto& pair) { return pair[0] == name; });
  return found == kElsewhere.end() ? "" : std::string((*found)[1]);
}

bool has(const CLI::App& app, const std::string& name) {
  return app.get_option_no_throw("--" + name) != nullptr;
}

/// The option of `app` that `name` is like, or empty; without its dashes.
std::string nearest_option(const CLI::App& app, const std::string& name) {
  for (std::string one : {name, elsewhere(name), bare(similar_option(name))}) {
    if (!one.empty() && has(app, one)) return one;
  }
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    names.insert(names.end(), option->get_lnames().begin(), option->get_lnames().end());
  }
  return nearest(name, names);
}

}  // namespace

void refuse_option(const CLI::App& app, std::string_view word) {
  const std::string name = bare(word);
  if (const Advice* advice = has(app, "raw") ? advice_on(name) : nullptr) {
    throw UsageError("[E254] There is no option {}: {}", {quote(word), message(advice->sentence)});
  }
  const std::string near = nearest_option(app, name);
  if (!near.empty()) {
    throw UsageError("[E255] There is no option {}; the nearest is {}.",
                     {quote(word), "--" + near});
  }
  if (app.get_option_no_throw("QUESTION") == nullptr) {
    throw UsageError("[E256] There is no option {} here.", {quote(word)});
  }
  throw UsageError("[E257] There is no option {}; a question that begins with - goes after --.",
                   {quote(word)});
}

void refuse_one_dash(const CLI::App& app, std::span<const char* const> words) {
  for (const std::string_view word : words) {
    if (word == "--") return;
    if (word.size() < 3 || word[0] != '-' || word[1] == '-') continue;
    const std::string name = bare(word);
    if (name.size() < 3 && name != "hf") continue;
    const bool advised = has(app, "raw") && advice_on(name) != nullptr;
    if (advised || has(app, name) || has(app, elsewhere(name))) refuse_option(app, word);
  }
}

std::string mistyped_command(std::string_view word) {
  constexpr std::size_t kShortest = 4;
  const bool plain = word.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string_view::npos;
  if (!plain || word.size() < kShortest) return {};
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (command.name[0] == word[0]) names.emplace_back(command.name);
  }
  return nearest(word, names);
}

}  // namespace aira
