#include "aira/prompts.h"

#include "aira/error.h"

namespace aira {

Prompts::Prompts(const Tokenizer& tokenizer, std::vector<std::int32_t> config_ends,
                 std::span<const std::int32_t> generation_ends)
    : tokenizer_(tokenizer), end_ids_(config_ends), model_ends_(std::move(config_ends)) {
  const Tokenizer::Roles& roles = tokenizer.roles();
  const std::optional<std::int32_t> start = tokenizer.find(kStartMarker);
  const std::optional<std::int32_t> end = tokenizer.find(kEndMarker);
  if (start && end) {
    markers_ = {*start, *end};
  } else if (roles.bos && roles.sep && roles.bos != roles.sep) {
    markers_ = {*roles.bos, *roles.sep};
  }
  if (!generation_ends.empty()) end_ids_.assign(generation_ends.begin(), generation_ends.end());
  if (end_ids_.empty() && roles.eos) end_ids_.push_back(*roles.eos);
  if (const auto id = tokenizer.find(kCompletionEnd)) end_ids_.push_back(*id);
}

std::int32_t Prompts::text_start() const {
  const Tokenizer::Roles& roles = tokenizer_.roles();
  if (const auto id = tokenizer_.find("<|endoftext|>")) return *id;
  if (roles.eos) return *roles.eos;
  if (!model_ends_.empty()) return model_ends_.front();
  if (roles.bos) return *roles.bos;
  throw Error("The model has no end-of-text token, so an empty text has nothing to start from.");
}

std::vector<std::int32_t> Prompts::question(
    std::string_view question, std::span<const std::pair<std::string, std::string>> turns) const {
  if (!has_markers()) {
    throw Error(std::string("This model knows no questions and answers (its tokenizer has no ") +
                kStartMarker + " and " + kEndMarker +
                "); use --raw to have a text completed as it stands.");
  }
  std::vector<std::int32_t> ids;
  const auto add = [&](std::string_view text) {
    const std::vector<std::int32_t> part = plain(text);
    ids.insert(ids.end(), part.begin(), part.end());
  };
  const auto ask = [&](std::string_view text) {
    ids.push_back(markers_->first);
    add(text);
    ids.push_back(markers_->second);
  };
  for (const auto& [earlier_question, answer] : turns) {
    ask(earlier_question);
    add(answer);
    if (!end_ids_.empty()) ids.push_back(end_ids_.back());
  }
  ask(question);
  return ids;
}

std::vector<std::int32_t> Prompts::raw(std::string_view text) const {
  std::vector<std::int32_t> ids = plain(text);
  if (ids.empty()) ids.push_back(text_start());
  return ids;
}

std::vector<std::int32_t> Prompts::plain(std::string_view text) const {
  return tokenizer_.encode(text, Tokenizer::Added::kPlainText);
}

}  // namespace aira
