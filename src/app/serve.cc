// serve: the model behind HTTP, in OpenAI's form, and a web chat.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <exception>
#include <fstream>
#include <memory>
#include <thread>

#include "app/config_file.h"
#include "app/model_lookup.h"
#include "app/output.h"
#include "app/run_options.h"
#include "base/digest.h"
#include "base/mapped_file.h"
#include "base/printable.h"
#include "base/thread_pool.h"
#include "base/user_path.h"
#include "server/endpoints.h"

namespace aira {
namespace {

constexpr std::int64_t kAnyNumber = std::int64_t{1} << 40;

struct ServeOptions : CommonOptions {
  RequestChanges request;
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  std::optional<std::string> key_file;
  std::optional<std::string> form;
  std::vector<std::string> hosts;
  std::vector<std::string> origins;
  std::uint64_t max_body = 1 << 20;
  std::int64_t max_queue = 256;
  std::int64_t grace = 30;
  SystemRole system = SystemRole::kPrepend;
  bool history = false;
  bool no_ui = false;
  bool log_json = false;
};

/// The lines of the file that are no comments. Throws Error when there is none.
std::vector<std::string> read_keys(const std::string& path) {
  std::ifstream file(expand_path(path));
  if (!file) {
    throw Error("[E770] The file of keys {} cannot be read: {}.",
                {quote(path, 4096), system_message(errno)});
  }
  std::vector<std::string> keys;
  for (std::string line; std::getline(file, line);) {
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())) != 0) {
      line.pop_back();
    }
    if (!line.empty() && !line.starts_with('#')) keys.push_back(line);
  }
  if (keys.empty()) {
    throw Error("[E771] The file of keys {} has no key; write one on each line.",
                {quote(path, 4096)});
  }
  return keys;
}

/// Tells a service manager, if one asked for it: sd_notify(3).
void notify(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::min(std::strlen(path), sizeof address.sun_path - 1);
  std::memcpy(address.sun_path, path, length);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // an abstract one
  const Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&address),
           static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
}

class Server {
 public:
  explicit Server(const ServeOptions& options)
      : options_(options),
        found_(find_model(options)),
        endpoints_(endpoint_options(options)),
        http_(http_options()) {
    endpoints_.set_server(http_);
  }

  int run() {
    http_.on_signals({SIGINT, SIGTERM, SIGHUP}, [this](int) { end(); });
    if (!options_.quiet) {
      note(message("listening on {}; Ctrl-C ends.", {http_.address()}));
    }
    keep_alive();
    std::jthread loading = new_thread([this] { load(); });
    http_.run();
    loading.join();
    endpoints_.close();
    if (problem_) std::rethrow_exception(problem_);
    return kDone;
  }

 private:
  static EndpointOptions endpoint_options(const ServeOptions& options) {
    EndpointOptions endpoints{.access = {.origins = options.origins},
                              .max_queue = options.max_queue,
                              .page = !options.no_ui,
                              .log_json = options.log_json};
    if (!options.quiet) endpoints.log = print_aside;
    if (options.key_file) endpoints.access.keys = read_keys(*options.key_file);
    endpoints.access.hosts.insert(options.hosts.begin(), options.hosts.end());
    endpoints.access.hosts.insert(options.host);
    return endpoints;
  }

  HttpServerOptions http_options() {
    HttpServerOptions http{.host = options_.host, .port = options_.port};
    constexpr std::string_view kUnix = "unix:";
    if (options_.host.starts_with(kUnix)) {
      http.unix_socket = expand_path(options_.host.substr(kUnix.size()));
    }
    http.limits.body = options_.max_body;
    http.handle = [this](const auto& request, const auto& reply) {
      endpoints_.handle(request, reply);
    };
    http.refusal = &Endpoints::refusal;
    return http;
  }

  /// On a thread of its own, while the server says that it is loading.
  void load() {
    try {
      EngineOptions engine = engine_options(options_, found_, options_.batch);
      const DType dtype = engine.dtype;
      engine.max_waiting = kAnyNumber;  // the endpoints count requests
      auto model = std::make_shared<ServedModel>(std::move(engine), found_.name, options_.request);
      model->defaults = config().request.over(model->engine.defaults());
      model->keep_turns = options_.history;
      model->system = options_.system;
      model->form = options_.form.value_or("");
      const EngineInfo& info = model->engine.info();
      model->fingerprint =
          "fp_" + hex(digest(AIRA_VERSION + std::string(" ") + model_digest(found_.files) + " " +
                             name_of(dtype) + " " + info.backend));
      http_.post([this, model] {
        endpoints_.set_model(model);
        notify("READY=1");
        if (!options_.quiet) note(message("{} is ready.", {model->id}));
      });
    } catch (...) {
      problem_ = std::current_exception();
      http_.stop();
    }
  }

  /// Proxies give up on streams that are silent for a minute.
  void keep_alive() {
    http_.after(std::chrono::seconds(15), [this] {
      endpoints_.ping();
      keep_alive();
    });
  }

  /// The first time, when what is at work is done; the second time, at once.
  void end() {
    if (std::exchange(ending_, true)) return http_.stop();
    notify("STOPPING=1");
    endpoints_.drain([this] { http_.post([this] { http_.stop(); }); });
    http_.after(std::chrono::seconds(options_.grace), [this] { http_.stop(); });
  }

  const ServeOptions& options_;
  FoundModel found_;
  Endpoints endpoints_;
  HttpServer http_;
  std::exception_ptr problem_;
  bool ending_ = false;
};

}  // namespace

Action set_up_serve(CLI::App& app) {
  const auto options = std::make_shared<ServeOptions>();
  app.description(message(
      "aira-cli serve [options]          Answer over HTTP, as OpenAI's interface does, with a\n"
      "                                  web chat at /"));
  app.footer(message("Examples:") + R"(
  aira-cli serve
  aira-cli serve --port 0 --batch 64 --dtype i8
  aira-cli serve --host unix:/run/aira.sock
  curl localhost:8080/v1/chat/completions -H 'Content-Type: application/json' \
    -d '{"messages": [{"role": "user", "content": "Qual a capital do Brasil?"}]}')");
  add_model_options(app, *options, true);
  add_batch(app, *options);
  app.option_defaults()->group(message("Serving"));
  app.add_option("--host", options->host,
                 message("Address to listen on, or unix:PATH (default 127.0.0.1)"))
      ->option_text("HOST");
  add_count(app, "--port", options->port, 0, 65535,
            message("Port to listen on; 0 = any (default 8080)"));
  add_text(app, "--api-key-file", options->key_file, "FILE",
           message("Answer only who sends one of the keys in FILE, one a line"));
  app.add_option("--allow-host", options->hosts,
                 message("Answer to this name, too; may be repeated"))
      ->option_text("NAME")
      ->take_all();
  app.add_option("--cors-origin", options->origins,
                 message("Let pages of this origin ask; may be repeated"))
      ->option_text("ORIGIN")
      ->take_all();
  add_count(app, "--max-body", options->max_body, 1, kAnyNumber,
            message("Largest body of a request in bytes (default 1048576)"));
  add_count(app, "--max-queue", options->max_queue, 0, kAnyNumber,
            message("Requests that may wait; more get 429 (default 256)"));
  add_count(app, "--grace", options->grace, 0, 86400,
            message("Seconds for what is at work when told to end (default 30)"));
  app.add_flag("--no-ui", options->no_ui, message("No web chat"));
  add_value(app, "--log-format", "HOW", message("Log lines as text or json (default text)"),
            message("text or json"), [options](const std::string& word) {
              options->log_json = word == "json";
              return word == "json" || word == "text";
            });
  add_text(app, "--template", options->form, "TEXT",
           message("Put the question in the place of {question} or {} in TEXT"));
  app.add_flag("--history", options->history,
               message("Keep earlier turns of a dialogue, although Aira was trained without"));
  add_value(app, "--system-role", "HOW",
            message("System messages where the model has no place for them: prepend (to the "
                    "question), ignore or refuse (default prepend)"),
            message("prepend, ignore or refuse"), [options](const std::string& word) {
              options->system = word == "ignore"   ? SystemRole::kIgnore
                                : word == "refuse" ? SystemRole::kRefuse
                                                   : SystemRole::kPrepend;
              return word == "ignore" || word == "refuse" || word == "prepend";
            });
  add_request_options(app, options->request);
  add_quiet(app, *options);
  return [options] { return Server(*options).run(); };
}

}  // namespace aira
