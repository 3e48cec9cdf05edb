// Bytes that a client sends, to the whole server with a tiny model. The connection has an end when
// they do, and every client gets whole answers.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <thread>

#include "fuzz.h"
#include "model_fixtures.h"
#include "server/endpoints.h"
#include "tiny_model.h"

using namespace aira;

namespace {

/// A server that lives as long as the process.
struct Server {
  Server() : server(options()) {
    endpoints.set_server(server);
    endpoints.set_model(
        std::make_shared<ServedModel>(EngineOptions{.files = fuzz::tiny_model_files(),
                                                    .device = Device::kCpu,
                                                    .dtype = DType::kF32,
                                                    .threads = 1,
                                                    .max_sequences = 4},
                                      "tiny", RequestChanges()));
    std::thread([this] { server.run(); }).detach();
  }

  HttpServerOptions options() {
    HttpServerOptions made;
    made.unix_socket = folder.path("s");
    made.handle = [this](const auto& request, const auto& reply) {
      endpoints.handle(request, reply);
    };
    made.refusal = Endpoints::refusal;
    return made;
  }

  TemporaryFolder folder;
  Endpoints endpoints{{}};
  HttpServer server;
};

int connect_to(const std::string& path) {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  FUZZ_CHECK(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

}  // namespace

FUZZ_TARGET(http) {
  static Server* const server = [] {
    std::signal(SIGPIPE, SIG_IGN);
    return new Server;  // threads use it to the last
  }();
  const int fd = connect_to(server->folder.path("s"));
  // Another request behind: the server does not take the end for a client that has left.
  const std::string bytes = std::string(input) + "\r\n\r\nGET /health HTTP/1.0\r\n\r\n";
  static_cast<void>(::send(fd, bytes.data(), bytes.size(), 0));
  ::shutdown(fd, SHUT_WR);
  std::string answer;
  char some[4096];
  for (ssize_t got = 0; (got = ::recv(fd, some, sizeof some, 0)) > 0;) {
    answer.append(some, static_cast<std::size_t>(got));
  }
  ::close(fd);
  FUZZ_CHECK(answer.empty() || answer.starts_with("HTTP/1.1 "));
}
