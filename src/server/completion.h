// A completion at work: the requests to the engine that one HTTP request makes, and what they yield
// as JSON or as server-sent events.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "server/completion_request.h"
#include "server/http_server.h"
#include "server/metrics.h"
#include "server/token_logprobs.h"

namespace aira {

/// All but what the engine calls runs on the server's thread.
class Completion : public std::enable_shared_from_this<Completion> {
 public:
  Completion(CompletionRequest request, ServedModel& model, Metrics& metrics,
             std::shared_ptr<HttpReply> reply, Headers headers);

  /// Submits. `wake` is called on the engine's thread when advance() has something to do; `over`
  /// once, when all is done, with the status for the log (499: the client left). Throws Error for
  /// what the engine refuses.
  void start(std::function<void()> wake, std::function<void(int status)> over);
  /// Takes what the engine has yielded, as far as the client keeps up.
  void advance();
  /// Keeps a silent stream's connection alive.
  void ping();
  /// Ends with what there is.
  void cancel();
  bool waits() const { return !begun_; }  // in the queue

 private:
  /// One of n answers to one of the prompts.
  struct Choice {
    std::vector<RatedToken> tokens = {};  // not sent yet, or of the whole answer
    std::int64_t offset = 0;              // where the next token begins in the text, in characters
    std::size_t generated = 0;            // tokens
    nlohmann::ordered_json result = nlohmann::ordered_json::object();  // not streamed: the choice
  };

  void take();
  void begin_reply();
  void wake();
  void submit_prompt(std::size_t number);
  Listener new_listener();
  nlohmann::ordered_json head(const char* object) const;
  nlohmann::ordered_json logprobs_of(Choice& choice, bool special_is_text = false);
  void send_event(const nlohmann::ordered_json& event);
  void send_chunk(std::size_t index, nlohmann::ordered_json choice);
  void add_echo(std::size_t number, const Score* score);
  void add_text(std::size_t index, std::string_view text);
  void add_answer(std::size_t index, const Answer& answer);
  void fail(const Error& error);
  void complete();
  nlohmann::ordered_json usage() const;

  CompletionRequest request_;
  ServedModel& model_;
  Metrics& metrics_;
  std::shared_ptr<HttpReply> reply_;
  const Headers headers_;
  const std::string id_;
  const std::int64_t created_;
  const std::chrono::steady_clock::time_point submitted_ = std::chrono::steady_clock::now();
  std::vector<Ticket> tickets_;
  std::vector<Choice> choices_;  // [prompts * n]
  std::function<void()> wake_;
  std::function<void(int status)> over_;
  std::atomic<bool> due_ = false;  // wake_ was called and advance() has not begun yet
  bool begun_ = false;             // the engine has
  bool cancelled_ = false;
  int failure_ = 0;  // the status of what has failed
  bool done_ = false;
  std::size_t prompt_tokens_ = 0;
};

}  // namespace aira
