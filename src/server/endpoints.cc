#include "server/endpoints.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <new>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/format.h"
#include "base/json.h"
#include "base/printable.h"
#include "base/seconds.h"
#include "server/openapi.h"
#include "server/page.h"

namespace aira {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr const char* kJson = "application/json";

/// The body as a JSON object. Throws ApiError.
json object_of(const HttpRequest& request) {
  try {
    json body = parse_json(request.body, message("The request"));
    static_cast<void>(JsonObject(body, message("The request")));  // throws when it is none
    return body;
  } catch (const Error& error) {
    throw bad_request(error);
  }
}

}  // namespace

struct Endpoints::Exchange {
  std::shared_ptr<HttpRequest> request;
  std::shared_ptr<HttpReply> reply;
  Headers headers;
  std::string endpoint = "other";  // for metrics
  std::string argument = {};       // what follows the path of a route that ends in "/"
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

struct Endpoints::Route {
  std::string_view method;
  std::string_view path;
  bool needs_key;
  bool needs_model;
  void (*answer)(Endpoints& self, Exchange& exchange);
};

std::span<const Endpoints::Route> Endpoints::routes() {
  using E = Endpoints;
  using X = Exchange;
  static constexpr auto kRoutes = std::to_array<Route>({
      {"POST", "/v1/chat/completions", true, true, [](E& e, X& x) { e.complete(x, true); }},
      {"POST", "/v1/completions", true, true, [](E& e, X& x) { e.complete(x, false); }},
      {"GET", "/v1/models", true, true, [](E& e, X& x) { e.get_models(x); }},
      {"GET", "/v1/models/", true, true, [](E& e, X& x) { e.get_models(x); }},
      {"POST", "/tokenize", true, true, [](E& e, X& x) { e.tokenize(x); }},
      {"POST", "/detokenize", true, true, [](E& e, X& x) { e.detokenize(x); }},
      {"GET", "/tokenizer_info", true, true, [](E& e, X& x) { e.get_tokenizer_info(x); }},
      {"GET", "/health", false, false, [](E& e, X& x) { e.get_health(x); }},
      {"GET", "/v1/health", false, false, [](E& e, X& x) { e.get_health(x); }},
      {"GET", "/metrics", true, false, [](E& e, X& x) { e.get_metrics(x); }},
      {"GET", "/openapi.json", false, false,
       [](E& e, X& x) { e.send_json(x, 200, openapi_document()); }},
      {"GET", "/", false, false, [](E& e, X& x) { e.get_page(x); }},
  });
  return kRoutes;
}

Endpoints::Endpoints(EndpointOptions options)
    : options_(std::move(options)), started_(std::time(nullptr)) {}

ServedModel& Endpoints::model() const { return *model_; }

std::int64_t Endpoints::queued() const {
  return std::count_if(running_.begin(), running_.end(),
                       [](const auto& completion) { return completion->waits(); });
}

void Endpoints::drain(std::function<void()> drained) {
  drained_ = std::move(drained);
  if (running_.empty()) drained_();
}

void Endpoints::close() {
  running_.clear();
  model_.reset();
}

void Endpoints::handle(const std::shared_ptr<HttpRequest>& request,
                       const std::shared_ptr<HttpReply>& reply) {
  Exchange exchange{request, reply, {{"Server", "aira-cli/" AIRA_VERSION}}};
  try {
    route(exchange);
  } catch (const ApiError& error) {
    send_error(exchange, error);
  } catch (const Error& error) {
    send_error(exchange, bad_request(error));
  } catch (const std::bad_alloc&) {
    const Error problem("[E002] There is not enough memory.");
    send_error(exchange, {500, problem.with_fields(), "", problem.id()});
  } catch (const std::exception& error) {
    const Error problem("[E003] Something unexpected failed: {}.", {error.what()});
    send_error(exchange, {500, problem.with_fields(), "", problem.id()});
  }
}

void Endpoints::route(Exchange& exchange) {
  const HttpRequest& request = *exchange.request;
  const Route* found = nullptr;
  std::string allowed;
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  for (const Route& route : routes()) {
    const bool is_folder = route.path.size() > 1 && route.path.ends_with('/');
    const bool fits = is_folder ? request.path.starts_with(route.path) : request.path == route.path;
    if (!fits) continue;
    exchange.endpoint = route.path;
    if (is_folder) exchange.argument = request.path.substr(route.path.size());
    allowed = std::string(route.method) + (route.method == "GET" ? ", HEAD" : "") + ", OPTIONS";
    if (route.method == method) found = &route;
  }
  check_host(options_.access, request);
  allow_origin(options_.access, request, exchange.headers);
  if (allowed.empty() || (request.path == "/" && !options_.page)) {
    throw ApiError{404, message("There is nothing at {}.", {quote(request.path)}), "", "not_found"};
  }
  if (method == "OPTIONS") {
    exchange.headers.emplace_back("Allow", allowed);
    exchange.reply->send(204, exchange.headers, "");
    return log(exchange, 204);
  }
  if (found == nullptr) {
    exchange.headers.emplace_back("Allow", allowed);
    throw ApiError{405,
                   message("{} takes {}, not {}.", {request.path, allowed, quote(request.method)}),
                   "", "method_not_allowed"};
  }
  if (found->needs_key) check_key(options_.access, request);
  if (found->needs_model && (!model_ || drained_)) {
    exchange.headers.emplace_back("Retry-After", "1");
    throw ApiError{503,
                   drained_ ? message("The server is shutting down.")
                            : message("The model is still being loaded."),
                   "", drained_ ? "draining" : "loading"};
  }
  found->answer(*this, exchange);
}

std::string Endpoints::refusal(int status) {
  const char* what = status == 413   ? to_translate("The body of the request is too large.")
                     : status == 431 ? to_translate("The head of the request is too large.")
                     : status == 408 ? to_translate("The request did not arrive in time.")
                                     : to_translate("This is no valid HTTP request.");
  return ApiError{status, message(what)}.body().dump();
}

void Endpoints::send_json(Exchange& exchange, int status, const ordered_json& body) {
  exchange.headers.emplace_back("Content-Type", kJson);
  exchange.reply->send(status, exchange.headers, body.dump());
  log(exchange, status);
}

void Endpoints::send_error(Exchange& exchange, const ApiError& error) {
  if (exchange.reply->begun()) return exchange.reply->end();
  metrics_.answered(exchange.endpoint, error.status);
  if (error.status == 401) exchange.headers.emplace_back("WWW-Authenticate", "Bearer");
  send_json(exchange, error.status, error.body());
}

void Endpoints::log(const Exchange& exchange, int status) const {
  if (!options_.log) return;
  const HttpRequest& request = *exchange.request;
  const double milliseconds = 1000 * seconds_since(exchange.start);
  std::array<char, 32> time{};
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::strftime(time.data(), time.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  const std::string peer = request.peer.empty() ? "unix" : request.peer;
  if (options_.log_json) {
    const ordered_json line = {{"time", time.data()},      {"peer", peer},
                               {"method", request.method}, {"path", request.path},
                               {"status", status},         {"milliseconds", milliseconds}};
    options_.log(line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
  } else {
    options_.log(std::string(time.data()) + " " + peer + " " + printable(request.method, 20) + " " +
                 printable(request.path, 200) + " " + std::to_string(status) + " " +
                 format("%.1f", milliseconds) + " ms\n");
  }
}

void Endpoints::complete(Exchange& exchange, bool chat) {
  const json body = object_of(*exchange.request);
  const json& name = body.value("model", json());
  if (!name.is_null() && name != model().id) {
    throw ApiError{404,
                   message("This server has no model {}; it has {}.",
                           {printable(name.dump(), 120), quote(model().id)}),
                   "model", "model_not_found"};
  }
  if (queued() >= options_.max_queue) {
    exchange.headers.emplace_back("Retry-After", "1");
    throw ApiError{429, message("{} requests are waiting already.", {std::to_string(queued())}), "",
                   "queue_full"};
  }
  CompletionRequest request = read_completion(body, chat, model());
  Headers headers = exchange.headers;
  headers.emplace_back("Content-Type", request.stream ? "text/event-stream" : kJson);
  if (request.stream) {
    headers.emplace_back("Cache-Control", "no-cache");
    headers.emplace_back("X-Accel-Buffering", "no");
  }
  headers.emplace_back("x-aira-seed", std::to_string(request.options.seed));
  if (!request.ignored.empty()) {
    headers.emplace_back("x-aira-ignored", printable(request.ignored, 1000));
    tell_ignored(request.ignored);
  }
  const auto completion = std::make_shared<Completion>(std::move(request), model(), metrics_,
                                                       exchange.reply, std::move(headers));
  const std::weak_ptr<Completion> weak = completion;
  HttpServer* const server = server_;
  running_.insert(completion);
  const auto start = [&] {
    completion->start(
        [server, weak] {
          server->post([weak] {
            if (const auto there = weak.lock()) there->advance();
          });
        },
        [this, weak, exchange](int status) {
          metrics_.answered(exchange.endpoint, status);
          log(exchange, status);
          running_.erase(weak.lock());
          if (drained_ && running_.empty()) drained_();
        });
  };
  try {
    start();
  } catch (...) {
    running_.erase(completion);
    throw;
  }
}

/// Fields that mean nothing here, in the log when they come for the first time.
void Endpoints::tell_ignored(const std::string& fields) {
  constexpr std::size_t kMostTold = 1000;  // clients may make names up
  if (!options_.log || told_.size() == kMostTold || !told_.insert(fields).second) return;
  options_.log(
      message("Requests have fields that mean nothing here: {}.", {printable(fields, 200)}) + "\n");
}

void Endpoints::ping() {
  for (const auto& completion : running_) completion->ping();
}

void Endpoints::get_models(Exchange& exchange) {
  ordered_json defaults = ordered_json::object();
  const GenerateOptions options = model().changes.over(model().defaults);
  for (const RequestOption& row : request_options()) {
    if (std::string_view(row.group) == kSamplingGroup || std::string_view(row.name) == "best_of") {
      defaults[row.name] = row.value(options);
    }
  }
  const ordered_json one = {{"id", model().id},
                            {"object", "model"},
                            {"created", started_},
                            {"owned_by", "aira-cli"},
                            {"max_model_len", model().engine.info().context},
                            {"defaults", std::move(defaults)}};
  if (exchange.endpoint == "/v1/models") {
    return send_json(exchange, 200, {{"object", "list"}, {"data", ordered_json::array({one})}});
  }
  if (exchange.argument == model().id) return send_json(exchange, 200, one);
  throw ApiError{404,
                 message("This server has no model {}; it has {}.",
                         {quote(exchange.argument), quote(model().id)}),
                 "model", "model_not_found"};
}

void Endpoints::get_health(Exchange& exchange) {
  const char* state = drained_ ? "draining" : model_ ? "ok" : "loading";
  const bool ready = model_ && !drained_;
  if (!ready) exchange.headers.emplace_back("Retry-After", "1");
  exchange.headers.emplace_back("Content-Type", kJson);
  exchange.reply->send(ready ? 200 : 503, exchange.headers, ordered_json{{"status", state}}.dump());
}

void Endpoints::get_metrics(Exchange& exchange) {
  std::vector<std::pair<std::string, std::string>> labels = {{"version", AIRA_VERSION}};
  if (model_) {
    labels.emplace_back("model", model().id);
    labels.emplace_back("backend", model().engine.info().backend);
  }
  exchange.headers.emplace_back("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  const std::int64_t waiting = queued();
  exchange.reply->send(
      200, exchange.headers,
      metrics_.text(std::ssize(running_) - waiting, waiting, server_->connections(), labels));
}

void Endpoints::get_tokenizer_info(Exchange& exchange) {
  const Tokenizer& tokenizer = model().engine.tokenizer();
  const Tokenizer::Roles& roles = tokenizer.roles();
  const auto text = [&](const std::optional<std::int32_t>& id) {
    return id ? ordered_json(tokenizer.decode({&*id, 1}, false)) : ordered_json();
  };
  const std::string& form = tokenizer.chat_template();
  send_json(exchange, 200,
            {{"bos_token", text(roles.bos)},
             {"eos_token", text(roles.eos)},
             {"pad_token", text(roles.pad)},
             {"unk_token", text(roles.unk)},
             {"vocab_size", tokenizer.size()},
             {"chat_template", form.empty() ? ordered_json() : ordered_json(form)}});
}

void Endpoints::tokenize(Exchange& exchange) {
  const json body = object_of(*exchange.request);
  const std::vector<std::int32_t> ids = read_text_to_tokenize(body, model());
  const bool pieces =
      JsonObject(body, message("The request")).boolean("with_pieces").value_or(false);
  ordered_json tokens = ids;
  for (std::size_t i = 0; pieces && i < ids.size(); ++i) {
    tokens[i] = {{"id", ids[i]}, {"piece", model().engine.tokenizer().decode({&ids[i], 1}, false)}};
  }
  send_json(exchange, 200, {{"tokens", std::move(tokens)}, {"count", ids.size()}});
}

void Endpoints::detokenize(Exchange& exchange) {
  const json body = object_of(*exchange.request);
  const std::vector<std::int32_t> ids = read_ids_to_detokenize(body, model());
  send_json(exchange, 200, {{"prompt", model().engine.tokenizer().decode(ids, false)}});
}

void Endpoints::get_page(Exchange& exchange) {
  const ChatPage& page = chat_page();
  exchange.headers.insert(exchange.headers.end(), {{"Content-Type", "text/html; charset=utf-8"},
                                                   {"Content-Security-Policy", page.policy},
                                                   {"X-Content-Type-Options", "nosniff"},
                                                   {"Referrer-Policy", "no-referrer"},
                                                   {"Cache-Control", "no-cache"},
                                                   {"ETag", page.tag}});
  const bool known = exchange.request->header("If-None-Match") == page.tag;
  exchange.reply->send(known ? 304 : 200, exchange.headers, known ? "" : std::string(page.html));
}

}  // namespace aira
