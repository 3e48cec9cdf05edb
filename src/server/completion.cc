#include "server/completion.h"

#include <ctime>
#include <new>
#include <random>
#include <utility>

#include "base/format.h"
#include "base/seconds.h"
#include "server/api_error.h"

namespace aira {

using nlohmann::ordered_json;

namespace {

std::string new_id(bool chat) {
  static std::mt19937_64 random(std::random_device{}());
  return (chat ? "chatcmpl-" : "cmpl-") +
         format("%016llx", static_cast<unsigned long long>(random()));
}

std::string finish_reason(FinishReason reason) {
  return reason == FinishReason::kLength ? "length" : "stop";
}

RatedToken rated(const aira::Choice& choice) {
  return {choice.chosen.token, choice.chosen.log_probability, choice.top};
}

}  // namespace

Completion::Completion(CompletionRequest request, ServedModel& model, Metrics& metrics,
                       std::shared_ptr<HttpReply> reply, Headers headers)
    : request_(std::move(request)),
      model_(model),
      metrics_(metrics),
      reply_(std::move(reply)),
      headers_(std::move(headers)),
      id_(new_id(request_.chat)),
      created_(std::time(nullptr)),
      choices_(request_.prompts.size() * static_cast<std::size_t>(request_.options.answers)) {}

void Completion::start(std::function<void()> wake, std::function<void(int status)> over) {
  wake_ = std::move(wake);
  over_ = std::move(over);
  try {
    for (std::size_t i = 0; i < request_.prompts.size(); ++i) submit_prompt(i);
    begin_reply();
  } catch (...) {
    reply_->on_gone = reply_->on_idle = nullptr;
    for (const Ticket& ticket : tickets_) model_.engine.cancel(ticket);
    if (reply_->begun()) reply_->end();
    throw;
  }
}

void Completion::begin_reply() {
  reply_->on_gone = [this] { cancel(); };
  reply_->on_idle = [this] { advance(); };
  if (request_.stream) {
    reply_->begin(200, headers_);
    if (request_.chat) {
      for (std::size_t i = 0; i < choices_.size(); ++i) {
        send_chunk(i, {{"delta", {{"role", "assistant"}, {"content", ""}}}});
      }
    }
  }
  wake();  // perhaps there is nothing to compute, or all of it is done already
}

/// Has advance() called soon, unless that is on its way.
void Completion::wake() {
  if (due_.exchange(true)) return;
  try {
    wake_();
  } catch (...) {
    due_ = false;
    throw;
  }
}

void Completion::submit_prompt(std::size_t number) {
  const std::vector<std::int32_t>& prompt = request_.prompts[number];
  prompt_tokens_ += prompt.size();
  if (request_.echo) {
    if (request_.logprobs >= 0) {
      Listener listener = new_listener();
      listener.scored = [this, number](const Score& score) { add_echo(number, &score); };
      tickets_.push_back(model_.engine.submit(
          ScoreRequest{.ids = prompt, .logprobs = request_.logprobs}, std::move(listener)));
    } else {
      add_echo(number, nullptr);
    }
  }
  if (!request_.generates) return;
  const auto first = number * static_cast<std::size_t>(request_.options.answers);
  Listener listener = new_listener();
  const bool rates = request_.logprobs >= 0;
  if (request_.stream && request_.options.best_of <= 1) {
    listener.text = [this, first](std::size_t answer, std::string_view piece) {
      add_text(first + answer, piece);
    };
    listener.token = [this, first, rates](std::size_t answer, const aira::Choice& token) {
      if (rates) choices_[first + answer].tokens.push_back(rated(token));
    };
  }
  listener.finished = [this, first](std::size_t answer, const Answer& result) {
    add_answer(first + answer, result);
  };
  tickets_.push_back(model_.engine.submit(
      GenerateRequest{prompt, request_.options, request_.keep_space}, std::move(listener)));
}

Listener Completion::new_listener() {
  Listener listener;
  listener.failed = [this](const Error& error) { fail(error); };
  listener.begun = [this] {
    if (std::exchange(begun_, true)) return;
    metrics_.queue_seconds.add(seconds_since(submitted_));
  };
  // The engine may call this after the client has gone and this has ended.
  listener.due = [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self) self->wake();
  };
  return listener;
}

void Completion::advance() {
  due_ = false;
  if (done_) return;
  const auto self = shared_from_this();  // the callbacks may end this
  try {
    take();
  } catch (const std::bad_alloc&) {
    fail(Error("[E002] There is not enough memory."));
    complete();
  } catch (const std::exception& error) {  // a bug, which is to cost this request alone
    fail(Error("[E003] Something unexpected failed: {}.", {error.what()}));
    complete();
  }
}

void Completion::take() {
  bool over = true;
  for (const Ticket& ticket : tickets_) {
    if (request_.stream && !cancelled_ && !reply_->idle()) return;  // on_idle goes on
    over &= ticket.poll();
    if (!over && request_.echo) break;  // the prompt goes first
  }
  if (over && !done_) complete();
}

void Completion::ping() {
  if (request_.stream && !done_ && !cancelled_ && reply_->idle()) reply_->write(": ping\n\n");
}

void Completion::cancel() {
  if (std::exchange(cancelled_, true)) return;
  const bool decodes = std::any_of(choices_.begin(), choices_.end(),
                                   [](const Choice& choice) { return choice.generated > 0; });
  metrics_.cancelled(begun_ ? decodes ? "decode" : "prompt" : "queue");
  for (const Ticket& ticket : tickets_) model_.engine.cancel(ticket);
  wake();
}

ordered_json Completion::head(const char* object) const {
  return {{"id", id_},
          {"object", object},
          {"created", created_},
          {"model", model_.id},
          {"system_fingerprint", model_.fingerprint}};
}

ordered_json Completion::logprobs_of(Choice& choice, bool special_is_text) {
  if (request_.logprobs < 0) return nullptr;
  const Tokenizer& tokenizer = model_.engine.tokenizer();
  const auto tokens = std::exchange(choice.tokens, {});
  return request_.chat ? chat_logprobs(tokenizer, tokens)
                       : completion_logprobs(tokenizer, tokens, choice.offset, special_is_text);
}

void Completion::send_event(const ordered_json& event) {
  reply_->write("data: " + event.dump() + "\n\n");
}

/// `choice` lacks what all chunks have.
void Completion::send_chunk(std::size_t index, ordered_json choice) {
  ordered_json chunk = head(request_.chat ? "chat.completion.chunk" : "text_completion");
  ordered_json whole = {{"index", index}};
  whole.update(choice);
  if (!whole.contains("logprobs")) whole["logprobs"] = nullptr;
  if (!whole.contains("finish_reason")) whole["finish_reason"] = nullptr;
  chunk["choices"] = ordered_json::array({std::move(whole)});
  if (request_.include_usage) chunk["usage"] = nullptr;
  send_event(chunk);
}

/// The prompt as the first part of each of its choices.
void Completion::add_echo(std::size_t number, const Score* score) {
  const auto& prompt = request_.prompts[number];
  const auto count = static_cast<std::size_t>(request_.options.answers);
  const std::string text = model_.engine.tokenizer().decode(prompt, false);
  for (std::size_t i = number * count; i < (number + 1) * count; ++i) {
    Choice& choice = choices_[i];
    if (score != nullptr) {
      std::vector<RatedToken> tokens = {{prompt.front(), std::nullopt, {}}};
      for (std::size_t at = 0; at < score->tokens.size(); ++at) {
        tokens.push_back(
            {score->tokens[at].token, score->tokens[at].log_probability, score->top[at]});
      }
      choice.tokens.insert(choice.tokens.begin(), tokens.begin(), tokens.end());
    }
    ordered_json part = {{"text", text}, {"logprobs", logprobs_of(choice, true)}};
    if (request_.stream) {
      send_chunk(i, part);
    } else {
      choice.result = std::move(part);
    }
  }
}

void Completion::add_text(std::size_t index, std::string_view text) {
  Choice& choice = choices_[index];
  if (choice.generated++ == 0) metrics_.first_token_seconds.add(seconds_since(submitted_));
  ordered_json part =
      request_.chat ? ordered_json{{"delta", {{"content", text}}}} : ordered_json{{"text", text}};
  part["logprobs"] = logprobs_of(choice);
  send_chunk(index, std::move(part));
}

void Completion::add_answer(std::size_t index, const Answer& answer) {
  Choice& choice = choices_[index];
  metrics_.add_answer(answer);
  if (choice.generated == 0) metrics_.first_token_seconds.add(seconds_since(submitted_));
  choice.generated = answer.token_ids.size();
  if (cancelled_) return;
  const bool streamed = request_.stream && request_.options.num_beams == 1;
  if (!streamed) {
    for (const aira::Choice& token : answer.choices) choice.tokens.push_back(rated(token));
  }
  const std::string reason = finish_reason(answer.finish);
  if (request_.stream) {
    if (!streamed && !answer.text.empty()) add_text(index, answer.text);
    ordered_json last = request_.chat ? ordered_json{{"delta", ordered_json::object()}}
                                      : ordered_json{{"text", ""}};
    // An end token is in no text.
    last["logprobs"] = choice.tokens.empty() ? ordered_json() : logprobs_of(choice);
    last["finish_reason"] = reason;
    return send_chunk(index, std::move(last));
  }
  ordered_json part = {{"index", index}};
  ordered_json logprobs = logprobs_of(choice);
  if (request_.chat) {
    part["message"] = {{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}};
  } else {
    part["text"] = choice.result.value("text", "") + answer.text;
    if (choice.result.contains("logprobs") && choice.result["logprobs"].is_object()) {
      ordered_json joined = std::move(choice.result["logprobs"]);
      for (auto& [key, list] : joined.items()) {
        list.insert(list.end(), logprobs[key].begin(), logprobs[key].end());
      }
      logprobs = std::move(joined);
    }
  }
  part["logprobs"] = std::move(logprobs);
  part["finish_reason"] = reason;
  choice.result = std::move(part);
}

void Completion::fail(const Error& error) {
  if (failure_ != 0) return;
  // A request may forbid every token; the rest is this machine's fault.
  const ApiError problem{error.id() == "E032" ? 400 : 500, error.with_fields(), "", error.id()};
  failure_ = problem.status;
  if (request_.stream) {
    send_event(problem.body());
  } else {
    reply_->send(problem.status, {{"Content-Type", "application/json"}}, problem.body().dump());
  }
  for (const Ticket& ticket : tickets_) model_.engine.cancel(ticket);
}

ordered_json Completion::usage() const {
  std::size_t generated = 0;
  for (const Choice& choice : choices_) generated += choice.generated;
  return {{"prompt_tokens", prompt_tokens_},
          {"completion_tokens", generated},
          {"total_tokens", prompt_tokens_ + generated}};
}

void Completion::complete() {
  done_ = true;
  if (failure_ == 0 && !cancelled_) {
    if (request_.stream) {
      if (!request_.generates) {
        for (std::size_t i = 0; i < choices_.size(); ++i) {
          send_chunk(i, {{"text", ""}, {"finish_reason", "length"}});
        }
      }
      if (request_.include_usage) {
        ordered_json last = head(request_.chat ? "chat.completion.chunk" : "text_completion");
        last["choices"] = ordered_json::array();
        last["usage"] = usage();
        send_event(last);
      }
      reply_->write("data: [DONE]\n\n");
    } else {
      ordered_json whole = head(request_.chat ? "chat.completion" : "text_completion");
      whole["choices"] = ordered_json::array();
      for (std::size_t i = 0; i < choices_.size(); ++i) {
        ordered_json& result = choices_[i].result;
        if (!request_.generates) {
          ordered_json echoed = {{"index", i}};
          echoed.update(result);
          echoed["finish_reason"] = "length";
          result = std::move(echoed);
        }
        whole["choices"].push_back(std::move(result));
      }
      whole["usage"] = usage();
      reply_->send(200, headers_, whole.dump());
    }
  }
  reply_->end();
  reply_->on_gone = reply_->on_idle = nullptr;
  if (over_) over_(cancelled_ ? 499 : failure_ != 0 ? failure_ : 200);
}

}  // namespace aira
