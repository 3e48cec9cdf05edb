// What the server answers: which path is what, who may ask, and how many may wait.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "server/access.h"
#include "server/api_error.h"
#include "server/completion.h"
#include "server/completion_request.h"
#include "server/http_server.h"
#include "server/metrics.h"

namespace aira {

struct EndpointOptions {
  AccessRules access = {};
  std::int64_t max_queue = 256;                           // requests that may wait
  bool page = true;                                       // the web chat at /
  bool log_json = false;                                  // --log-format json
  std::function<void(const std::string& line)> log = {};  // empty: no log
};

class Endpoints {
 public:
  explicit Endpoints(EndpointOptions options);

  /// Before the server runs.
  void set_server(HttpServer& server) { server_ = &server; }
  /// From now on requests are answered; until then all is 503.
  void set_model(std::shared_ptr<ServedModel> model) { model_ = std::move(model); }
  /// No more requests; `drained` is called once those at work are done.
  void drain(std::function<void()> drained);
  /// Keeps the connections of silent streams alive; to be called now and then.
  void ping();
  /// Lets go of the model, whose thread would otherwise call the server when that has gone.
  void close();

  void handle(const std::shared_ptr<HttpRequest>& request, const std::shared_ptr<HttpReply>& reply);
  /// The body that goes with a status for what is no HTTP.
  static std::string refusal(int status);

 private:
  struct Exchange;  // one request and its reply
  struct Route;
  static std::span<const Route> routes();

  void route(Exchange& exchange);
  void send_json(Exchange& exchange, int status, const nlohmann::ordered_json& body);
  void send_error(Exchange& exchange, const ApiError& error);
  void log(const Exchange& exchange, int status) const;
  std::int64_t queued() const;
  ServedModel& model() const;

  void complete(Exchange& exchange, bool chat);
  void tell_ignored(const std::string& fields);
  void get_models(Exchange& exchange);
  void get_health(Exchange& exchange);
  void get_metrics(Exchange& exchange);
  void get_tokenizer_info(Exchange& exchange);
  void tokenize(Exchange& exchange);
  void detokenize(Exchange& exchange);
  void get_page(Exchange& exchange);

  EndpointOptions options_;
  HttpServer* server_ = nullptr;
  std::shared_ptr<ServedModel> model_;
  Metrics metrics_;
  std::set<std::shared_ptr<Completion>> running_;
  std::function<void()> drained_;  // set while draining
  std::set<std::string> told_;     // fields that mean nothing
  const std::int64_t started_;
};

}  // namespace aira
