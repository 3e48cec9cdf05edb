// An HTTP/1.1 server for many slow clients on one thread: keep-alive, chunked streams with
// back-pressure, limits, and word of clients that leave. RFC 9110 and 9112.
//
// Boost.Beast does the protocol and Boost.Asio the waiting: header-only, in Debian, without a
// library to load at the start of every command, with a coroutine in place of a thread for each of
// ten thousand connections. libmicrohttpd does not see a client leave while its request is at work
// and brings GnuTLS, cpp-httplib takes a thread for each connection, drogon is a framework.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aira {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // before the "?", as it came
  std::string body;
  Headers headers;
  std::string peer;  // "127.0.0.1"; empty: a Unix socket

  /// The value, whatever the case of `name`; empty when there is none.
  std::string_view header(std::string_view name) const;
};

/// What goes back for one request, from the server's thread only. send(), or begin(), write() any
/// number of times and end(). Once the client has gone, all of them do nothing.
class HttpReply {
 public:
  virtual ~HttpReply() = default;
  /// A whole answer, with Content-Length.
  virtual void send(int status, const Headers& headers, std::string body) = 0;
  /// The head of a stream.
  virtual void begin(int status, const Headers& headers) = 0;
  virtual void write(std::string piece) = 0;
  virtual void end() = 0;
  /// Whether everything so far has been passed on: a slow reader is to be given no more before.
  virtual bool idle() const = 0;
  /// Whether begin() or send() was called.
  virtual bool begun() const = 0;

  std::function<void()> on_idle = {};  // idle() is true again
  std::function<void()> on_gone = {};  // the client has left before the end; called once
};

struct HttpLimits {
  std::uint64_t body = 1 << 20;               // bytes; more is 413
  std::uint32_t head = 16 << 10;              // bytes of request line and headers; more is 431
  std::chrono::seconds to_send_request{30};   // from its first byte
  std::chrono::seconds between_requests{75};  // an idle connection lives as long
  std::chrono::seconds without_progress{60};  // a client that reads nothing for as long is gone
};

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;     // 0: any
  std::string unix_socket = {};  // a path, in place of host and port
  HttpLimits limits = {};
  /// Answers a request; the reply may be kept and finished later.
  std::function<void(std::shared_ptr<HttpRequest> request, std::shared_ptr<HttpReply> reply)>
      handle = {};
  /// The body (JSON) that goes with a status for what is no valid request.
  std::function<std::string(int status)> refusal = {};
};

class HttpServer {
 public:
  /// Binds. Takes the sockets of $LISTEN_FDS (sd_listen_fds(3)) in place of an address. Throws
  /// Error.
  explicit HttpServer(HttpServerOptions options);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Where it listens: "http://127.0.0.1:8080" or "unix:/run/aira.sock".
  std::string address() const;
  std::int64_t connections() const;
  /// Serves until stop(). The thread that calls this is the server's.
  void run();
  /// Ends run() at once.
  void stop();
  /// Calls `work` on the server's thread; may be called from any.
  void post(std::function<void()> work);
  /// The same after a time. Only on the server's thread.
  void after(std::chrono::milliseconds time, std::function<void()> work);
  /// Calls `work` whenever one of these signals comes. Before run().
  void on_signals(std::vector<int> signals, std::function<void(int signal)> work);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aira
