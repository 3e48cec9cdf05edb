#include "aira/prompts.h"

#include "aira/error.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "text/jinja.h"

namespace aira {

Prompts::Prompts(const Tokenizer& tokenizer, std::vector<std::int32_t> config_ends,
                 std::span<const std::int32_t> generation_ends, std::int64_t context)
    : tokenizer_(tokenizer),
      context_(context),
      end_ids_(config_ends),
      model_ends_(std::move(config_ends)) {
  const Tokenizer::Roles& roles = tokenizer.roles();
  const std::optional<std::int32_t> start = tokenizer.find(kStartMarker);
  const std::optional<std::int32_t> end = tokenizer.find(kEndMarker);
  // RoBERTa's <s> and </s>, BERT's [CLS] and [SEP] and the like mark texts, not questions.
  const auto is_marker = [&](std::int32_t id) { return content(id).starts_with("<|"); };
  if (start && end) {
    markers_ = {*start, *end};
  } else if (roles.bos && roles.sep && roles.bos != roles.sep && roles.bos != roles.eos &&
             roles.sep != roles.eos && is_marker(*roles.bos) && is_marker(*roles.sep) &&
             tokenizer.chat_template().empty()) {
    markers_ = {*roles.bos, *roles.sep};
  }
  if (!generation_ends.empty()) end_ids_.assign(generation_ends.begin(), generation_ends.end());
  if (end_ids_.empty() && roles.eos) end_ids_.push_back(*roles.eos);
  if (const auto id = tokenizer.find(kCompletionEnd)) end_ids_.push_back(*id);
}

/// Megabytes of text would be tokenised only to be refused.
void Prompts::require_fit(std::string_view text) const {
  const std::int64_t fewest = tokenizer_.fewest_tokens(text.size());
  if (context_ == 0 || fewest < context_) return;
  throw Error(
      "[E687] The text is too long: its {} bytes take {} tokens at least, but the model's context "
      "holds {} including at least one of the answer.",
      {std::to_string(text.size()), std::to_string(fewest), std::to_string(context_)});
}

std::string Prompts::content(std::int32_t id) const { return tokenizer_.decode({&id, 1}, false); }

std::int32_t Prompts::text_start() const {
  const Tokenizer::Roles& roles = tokenizer_.roles();
  if (const auto id = tokenizer_.find("<|endoftext|>")) return *id;
  if (roles.eos) return *roles.eos;
  if (!model_ends_.empty()) return model_ends_.front();
  if (roles.bos) return *roles.bos;
  throw Error(
      "[E027] The model has no end-of-text token, so an empty text has nothing to start from.");
}

std::vector<std::int32_t> Prompts::question(std::string_view question, std::span<const Turn> turns,
                                            const std::string& form,
                                            std::string_view system) const {
  require_fit(question);
  if (!system.empty() && (!form.empty() || has_markers())) {
    throw Error(
        "[E112] This model's form of a dialogue has no place for a message of the role \"system\"; "
        "put its text into the question, or leave it out.");
  }
  if (!form.empty()) return formed(question, turns, form);
  if (has_markers()) return marked(question, turns);
  if (!tokenizer_.chat_template().empty()) return chat(question, turns, system);
  throw Error(
      "[E028] This model knows no questions and answers (its tokenizer has no {} and {} and no "
      "chat template); use --template to put a question into a text of your own, or --raw to have "
      "a text completed as it stands.",
      {kStartMarker, kEndMarker});
}

std::vector<std::int32_t> Prompts::marked(std::string_view question,
                                          std::span<const Turn> turns) const {
  std::vector<std::int32_t> ids;
  const auto add = [&](std::string_view text) {
    const auto part = tokenizer_.encode(text, Tokenizer::Added::kPlainText);
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

void Prompts::check_form(const std::string& form) {
  if (form.find("{question}") != std::string::npos || form.find("{}") != std::string::npos) return;
  throw UsageError("[E029] {} must have {question} or {1} where the question goes, but is {2}.",
                   {option("template"), "{}", quote(form)});
}

std::vector<std::int32_t> Prompts::formed(std::string_view question, std::span<const Turn> turns,
                                          const std::string& form) const {
  check_form(form);
  const std::string_view place = form.find("{question}") != std::string::npos ? "{question}" : "{}";
  std::vector<Tokenizer::Part> parts;
  const auto ask = [&](std::string_view text) {
    std::size_t from = 0;
    for (std::size_t at = 0; (at = form.find(place, from)) != std::string::npos;) {
      parts.push_back({form.substr(from, at - from), false});
      parts.push_back({std::string(text), true});
      from = at + place.size();
    }
    parts.push_back({form.substr(from), false});
  };
  for (const auto& [earlier_question, answer] : turns) {
    ask(earlier_question);
    parts.push_back({answer, true});
    parts.push_back({end_ids_.empty() ? "\n" : content(end_ids_.back()), false});
  }
  ask(question);
  return tokenizer_.encode_with_template(parts);
}

std::vector<std::int32_t> Prompts::chat(std::string_view question, std::span<const Turn> turns,
                                        std::string_view system) const {
  using namespace jinja;
  List messages;
  const auto add = [&](const char32_t* role, std::string_view content) {
    messages.push_back(new_dict({{U"role", {Text(role)}}, {U"content", {text_of(content, true)}}}));
  };
  if (!system.empty()) add(U"system", system);
  for (const auto& [earlier_question, answer] : turns) {
    add(U"user", earlier_question);
    add(U"assistant", answer);
  }
  add(U"user", question);
  Dict variables = {{U"messages", new_list(std::move(messages))},
                    {U"add_generation_prompt", {true}},
                    {U"tools", {None{}}},
                    {U"documents", {None{}}}};
  const Tokenizer::Roles& roles = tokenizer_.roles();
  for (const auto& [name, id] : {std::pair(U"bos_token", roles.bos),
                                 {U"eos_token", roles.eos},
                                 {U"sep_token", roles.sep},
                                 {U"pad_token", roles.pad},
                                 {U"unk_token", roles.unk}}) {
    if (id) variables.emplace_back(name, Value{text_of(content(*id))});
  }
  std::vector<Tokenizer::Part> parts;
  for (const char32_t unit : render(parse(tokenizer_.chat_template()), std::move(variables))) {
    const bool typed = (unit & kTyped) != 0;
    if (parts.empty() || parts.back().typed != typed) parts.push_back({"", typed});
    append_utf8(letter(unit), parts.back().text);
  }
  return tokenizer_.encode(parts);
}

std::vector<std::int32_t> Prompts::raw(std::string_view text, Tokenizer::Added added) const {
  require_fit(text);
  std::vector<std::int32_t> ids = tokenizer_.encode_with_template(text, added);
  if (ids.empty()) ids.push_back(text_start());
  return ids;
}

}  // namespace aira
