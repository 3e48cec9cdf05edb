#include "server/http_server.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <deque>
#include <exception>
#include <utility>

// Boost 1.74 uses std::exchange without its header, and its concepts are those of a draft.
#define BOOST_ASIO_DISABLE_CONCEPTS
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "aira/error.h"
#include "base/printable.h"

namespace aira {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::awaitable;
using boost::system::error_code;
using Protocol = asio::generic::stream_protocol;
using Stream = beast::basic_stream<Protocol>;

auto into(error_code& problem) { return asio::redirect_error(asio::use_awaitable, problem); }

/// One request's way back to its connection.
class Reply : public HttpReply {
 public:
  Reply(const asio::io_context::executor_type& executor, bool head_only, bool chunks,
        bool keeps_alive)
      : wake_(executor, asio::steady_timer::time_point::max()),
        head_only_(head_only),
        chunks_(chunks),
        keeps_alive_(keeps_alive) {}

  void send(int status, const Headers& headers, std::string body) override {
    if (begun_ || gone_) return;
    std::string whole = head(status, headers, "Content-Length: " + std::to_string(body.size()));
    if (!head_only_) whole += body;
    set_begun(std::move(whole));
    end();
  }

  void begin(int status, const Headers& headers) override {
    if (begun_ || gone_) return;
    if (!chunks_) keeps_alive_ = false;
    set_begun(head(status, headers, chunks_ ? "Transfer-Encoding: chunked" : ""));
    streams_ = true;
    wake();
  }

  void write(std::string piece) override {
    if (gone_ || ended_ || piece.empty() || head_only_) return;
    if (chunks_) {
      char size[24];
      const int length = std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
      piece.insert(0, size, static_cast<std::size_t>(length)).append("\r\n");
    }
    out_ += piece;
    wake();
  }

  void end() override {
    if (ended_) return;
    if (streams_ && chunks_ && !head_only_) out_ += "0\r\n\r\n";
    ended_ = true;
    wake();
  }

  bool idle() const override { return out_.empty() && !writing_; }
  bool begun() const override { return begun_; }

  bool keeps_alive() const { return keeps_alive_; }
  bool ended() const { return ended_ && out_.empty(); }

  /// Waits until there is something to write or the end has come, or `leave` was called.
  awaitable<void> wait() {
    error_code woken;
    while (out_.empty() && !ended_ && !gone_) {
      wake_.expires_at(asio::steady_timer::time_point::max());
      co_await wake_.async_wait(into(woken));
    }
  }
  std::string take() {
    writing_ = true;
    return std::exchange(out_, {});
  }
  void written() {
    writing_ = false;
    const auto told = on_idle;  // which may be reset by what it calls
    if (idle() && !ended_ && told) told();
  }
  bool gone() const { return gone_; }
  void leave() {
    if (std::exchange(gone_, true)) return;
    wake();
    // Callbacks may own this.
    const auto told = ended_ ? nullptr : std::exchange(on_gone, nullptr);
    on_idle = nullptr;
    if (told) told();
  }
  void forget() { on_idle = on_gone = nullptr; }

 private:
  void wake() { wake_.cancel(); }

  std::string head(int status, const Headers& headers, const std::string& framing) const {
    const std::string_view reason = http::obsolete_reason(static_cast<http::status>(status)).data();
    std::string text = "HTTP/1.1 " + std::to_string(status) + " ";
    text.append(reason).append("\r\n");
    for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
    if (!framing.empty()) text += framing + "\r\n";
    text += keeps_alive_ ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
    return text;
  }
  /// Where memory is short, a reply begins whole or not at all.
  void set_begun(std::string text) {
    begun_ = true;
    out_ = std::move(text);
  }

  asio::steady_timer wake_;
  std::string out_;
  const bool head_only_;
  const bool chunks_;
  bool keeps_alive_;
  bool begun_ = false;
  bool streams_ = false;
  bool ended_ = false;
  bool writing_ = false;
  bool gone_ = false;
};

/// Does something when a scope is left or a coroutine's frame is destroyed.
template <typename Work>
class AtEnd {
 public:
  explicit AtEnd(Work work) : work_(std::move(work)) {}
  AtEnd(const AtEnd&) = delete;
  AtEnd& operator=(const AtEnd&) = delete;
  ~AtEnd() { work_(); }

 private:
  Work work_;
};

std::string peer_of(Stream& stream) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(stream.socket().native_handle(), reinterpret_cast<sockaddr*>(&address),
                    &size) != 0) {
    return "";
  }
  if (address.ss_family != AF_INET && address.ss_family != AF_INET6) return "";
  asio::ip::tcp::endpoint end;
  std::copy_n(reinterpret_cast<const char*>(&address), std::min<std::size_t>(size, end.capacity()),
              reinterpret_cast<char*>(end.data()));
  return end.address().to_string();
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (beast::iequals({key.data(), key.size()}, {name.data(), name.size()})) return value;
  }
  return {};
}

struct HttpServer::Impl {
  explicit Impl(HttpServerOptions given);
  ~Impl();

  void run();
  template <typename Acceptor>
  void begin_to_accept(Acceptor& acceptor);
  template <typename Acceptor>
  awaitable<void> accept(Acceptor& acceptor);
  awaitable<void> serve(Stream stream);
  awaitable<bool> read(Stream& stream, beast::flat_buffer& buffer,
                       http::request_parser<http::string_body>& parser);
  awaitable<bool> refuse(Stream& stream, int status);
  awaitable<bool> answer(Stream& stream, http::request<http::string_body> message, bool pipelined,
                         bool& keeps_alive);
  void watch(Stream& stream, const std::shared_ptr<Reply>& reply);
  void listen_tcp();
  void listen_unix();
  bool listen_inherited();
  void adopt(int fd);
  void wait_for_signal();

  HttpServerOptions options;
  std::exception_ptr problem;  // why nobody is accepted any more
  bool over = false;
  asio::io_context io{1};
  std::deque<asio::ip::tcp::acceptor> tcp;
  std::deque<asio::local::stream_protocol::acceptor> local;
  std::string address;
  std::string to_remove;  // the Unix socket
  std::int64_t connections = 0;
  asio::signal_set signals{io};
  std::function<void(int signal)> on_signal;
};

namespace {

[[noreturn]] void refuse_address(const std::string& address, const error_code& problem) {
  throw Error("[E750] Listening on {} failed: {}.",
              {printable(address), system_message(problem.value())});
}

/// Ten thousand clients need as many descriptors.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

HttpServer::Impl::Impl(HttpServerOptions given) : options(std::move(given)) {
  raise_descriptor_limit();
  if (listen_inherited()) return;
  options.unix_socket.empty() ? listen_tcp() : listen_unix();
}

HttpServer::Impl::~Impl() {
  if (!to_remove.empty()) ::unlink(to_remove.c_str());
}

void HttpServer::Impl::listen_tcp() {
  const std::string wanted = options.host + ":" + std::to_string(options.port);
  error_code problem;
  asio::ip::tcp::resolver resolver(io);
  const auto found = resolver.resolve(options.host, std::to_string(options.port),
                                      asio::ip::resolver_base::passive, problem);
  if (problem || found.empty()) {
    throw Error("[E751] {} is no address of this machine: {}.",
                {quote(options.host), problem.message()});
  }
  const asio::ip::tcp::endpoint end = found.begin()->endpoint();
  auto& acceptor = tcp.emplace_back(io);
  acceptor.open(end.protocol(), problem);
  if (!problem) acceptor.set_option(asio::socket_base::reuse_address(true), problem);
  if (!problem) acceptor.bind(end, problem);
  if (!problem) acceptor.listen(4096, problem);
  if (problem) refuse_address(wanted, problem);
  const bool six = end.address().is_v6();
  address = "http://" + (six ? "[" + options.host + "]" : options.host) + ":" +
            std::to_string(acceptor.local_endpoint().port());
}

void HttpServer::Impl::listen_unix() {
  using asio::local::stream_protocol;
  const std::string& path = options.unix_socket;
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    throw Error("[E752] {} is longer than the {} bytes that the name of a Unix socket may have.",
                {quote(path, 4096), std::to_string(sizeof(sockaddr_un::sun_path) - 1)});
  }
  struct stat status {};
  error_code problem;
  if (::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) {
      throw Error("[E753] {} is there already and is no socket.", {quote(path, 4096)});
    }
    stream_protocol::socket probe(io);
    probe.connect(stream_protocol::endpoint(path), problem);
    if (!problem) throw Error("[E754] Another program listens on {}.", {quote(path, 4096)});
    ::unlink(path.c_str());  // of a server that was killed
    problem.clear();
  }
  auto& acceptor = local.emplace_back(io);
  acceptor.open(stream_protocol(), problem);
  // Nobody may connect in the moment between bind and chmod.
  const mode_t former = ::umask(0117);
  if (!problem) acceptor.bind(stream_protocol::endpoint(path), problem);
  ::umask(former);
  if (!problem) acceptor.listen(4096, problem);
  if (problem) refuse_address("unix:" + path, problem);
  to_remove = path;
  address = "unix:" + path;
}

bool HttpServer::Impl::listen_inherited() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || std::to_string(::getpid()) != pid) return false;
  constexpr int kFirst = 3;
  for (int fd = kFirst; fd < kFirst + std::atoi(count); ++fd) adopt(fd);
  return !address.empty();
}

void HttpServer::Impl::adopt(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  error_code problem;
  const std::string title = "LISTEN_FDS " + std::to_string(fd);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    refuse_address(title, error_code(errno, boost::system::system_category()));
  }
  if (name.ss_family == AF_UNIX) {
    local.emplace_back(io).assign(asio::local::stream_protocol(), fd, problem);
  } else {
    const bool six = name.ss_family == AF_INET6;
    tcp.emplace_back(io).assign(six ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), fd, problem);
  }
  if (problem) refuse_address(title, problem);
  address = title;
}

void HttpServer::Impl::wait_for_signal() {
  signals.async_wait([this](error_code problem, int signal) {
    if (problem) return;
    on_signal(signal);
    wait_for_signal();
  });
}

template <typename Acceptor>
void HttpServer::Impl::begin_to_accept(Acceptor& acceptor) {
  if (over || !acceptor.is_open()) return;
  try {
    asio::co_spawn(io, accept(acceptor), asio::detached);
  } catch (const std::exception&) {
    problem = std::current_exception();
    io.stop();
  }
}

template <typename Acceptor>
awaitable<void> HttpServer::Impl::accept(Acceptor& acceptor) {
  // Where memory is short, this ends or is destroyed without a word.
  const AtEnd again([this, &acceptor] { begin_to_accept(acceptor); });
  for (;;) {
    error_code problem;
    auto socket = co_await acceptor.async_accept(into(problem));
    if (!acceptor.is_open()) co_return;
    if (problem) {  // no descriptors left, most likely: others will close theirs
      asio::steady_timer pause(io, std::chrono::milliseconds(100));
      co_await pause.async_wait(into(problem));
      continue;
    }
    if constexpr (std::is_same_v<Acceptor, asio::ip::tcp::acceptor>) {
      socket.set_option(asio::ip::tcp::no_delay(true), problem);
    }
    asio::co_spawn(io, serve(Stream(Protocol::socket(std::move(socket)))), asio::detached);
  }
}

awaitable<void> HttpServer::Impl::serve(Stream stream) {
  ++connections;
  const AtEnd left([this] { --connections; });
  try {
    beast::flat_buffer buffer;
    for (bool keeps_alive = true; keeps_alive;) {
      http::request_parser<http::string_body> parser;
      if (!co_await read(stream, buffer, parser)) break;
      if (!co_await answer(stream, parser.release(), buffer.size() > 0, keeps_alive)) break;
    }
    // Data that the client still sends would make close() drop what it has not read yet.
    error_code ignored;
    stream.socket().shutdown(asio::socket_base::shutdown_send, ignored);
    stream.expires_after(std::chrono::seconds(2));
    char rest[4096];
    while (!ignored) co_await stream.async_read_some(asio::buffer(rest), into(ignored));
  } catch (const std::exception&) {  // no memory for this one
  }
}

awaitable<bool> HttpServer::Impl::read(Stream& stream, beast::flat_buffer& buffer,
                                       http::request_parser<http::string_body>& parser) {
  parser.header_limit(options.limits.head);
  parser.body_limit(options.limits.body);
  error_code problem;
  if (buffer.size() == 0) {
    buffer.shrink_to_fit();  // thousands of idle connections hold none
    constexpr std::size_t kFirst = 512;
    stream.expires_after(options.limits.between_requests);
    const auto got = co_await stream.async_read_some(buffer.prepare(kFirst), into(problem));
    if (problem) co_return false;
    buffer.commit(got);
  }
  stream.expires_after(options.limits.to_send_request);
  co_await http::async_read_header(stream, buffer, parser, into(problem));
  if (!problem && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await asio::async_write(stream, asio::buffer(kContinue), into(problem));
  }
  if (!problem) co_await http::async_read(stream, buffer, parser, into(problem));
  if (!problem) co_return true;
  if (problem == http::error::body_limit) co_return co_await refuse(stream, 413);
  if (problem == http::error::header_limit) co_return co_await refuse(stream, 431);
  if (problem == beast::error::timeout) co_return co_await refuse(stream, 408);
  if (problem.category() == make_error_code(http::error::bad_method).category() &&
      problem != http::error::end_of_stream && problem != http::error::partial_message) {
    co_return co_await refuse(stream, 400);
  }
  co_return false;
}

/// Always false: the connection cannot go on.
awaitable<bool> HttpServer::Impl::refuse(Stream& stream, int status) {
  Reply reply(io.get_executor(), false, false, false);
  reply.send(status, {{"Content-Type", "application/json"}}, options.refusal(status));
  const std::string text = reply.take();
  error_code problem;
  stream.expires_after(options.limits.without_progress);
  co_await asio::async_write(stream, asio::buffer(text), into(problem));
  co_return false;
}

/// Tells `reply` when the client leaves. A client that sends its next request meanwhile is still
/// there, and no longer watched.
void HttpServer::Impl::watch(Stream& stream, const std::shared_ptr<Reply>& reply) {
  const int fd = stream.socket().native_handle();
  stream.socket().async_wait(asio::socket_base::wait_read,
                             [weak = std::weak_ptr<Reply>(reply), fd](error_code problem) {
                               const auto there = weak.lock();
                               if (problem || !there || there->ended()) return;
                               char byte = 0;
                               const auto got = ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
                               if (got == 0 || (got < 0 && errno != EAGAIN)) there->leave();
                             });
}

/// False when the connection is over; `keeps_alive`: whether another request may come.
awaitable<bool> HttpServer::Impl::answer(Stream& stream, http::request<http::string_body> message,
                                         bool pipelined, bool& keeps_alive) {
  auto request = std::make_shared<HttpRequest>();
  request->method = std::string(message.method_string());
  const std::string target(message.target());
  request->path = target.substr(0, target.find('?'));
  for (const auto& field : message) {
    request->headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  request->peer = peer_of(stream);
  request->body = std::move(message.body());
  const auto reply = std::make_shared<Reply>(io.get_executor(), request->method == "HEAD",
                                             message.version() >= 11, message.keep_alive());
  if (!pipelined) watch(stream, reply);
  options.handle(std::move(request), reply);
  error_code problem;
  while (!reply->ended() && !reply->gone()) {
    co_await reply->wait();
    if (reply->gone()) break;
    const std::string piece = reply->take();
    for (std::size_t at = 0; at < piece.size() && !problem;) {
      stream.expires_after(options.limits.without_progress);
      at += co_await stream.async_write_some(asio::buffer(piece.data() + at, piece.size() - at),
                                             into(problem));
    }
    if (problem) reply->leave();
    reply->written();
  }
  const bool alive = !reply->gone() && reply->begun();
  reply->forget();
  error_code ignored;
  stream.socket().cancel(ignored);  // the watch
  keeps_alive = reply->keeps_alive();
  co_return alive;
}

HttpServer::HttpServer(HttpServerOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
HttpServer::~HttpServer() = default;

std::string HttpServer::address() const { return impl_->address; }
std::int64_t HttpServer::connections() const { return impl_->connections; }

void HttpServer::Impl::run() {
  const AtEnd ended([this] { over = true; });
  for (auto& acceptor : tcp) begin_to_accept(acceptor);
  for (auto& acceptor : local) begin_to_accept(acceptor);
  io.run();
  if (problem) std::rethrow_exception(problem);
}

void HttpServer::run() { impl_->run(); }

void HttpServer::stop() { impl_->io.stop(); }

void HttpServer::post(std::function<void()> work) { asio::post(impl_->io, std::move(work)); }

void HttpServer::after(std::chrono::milliseconds time, std::function<void()> work) {
  const auto timer = std::make_shared<asio::steady_timer>(impl_->io, time);
  timer->async_wait([timer, work = std::move(work)](error_code problem) {
    if (!problem) work();
  });
}

void HttpServer::on_signals(std::vector<int> signals, std::function<void(int)> work) {
  for (const int signal : signals) impl_->signals.add(signal);
  impl_->on_signal = std::move(work);
  impl_->wait_for_signal();
}

}  // namespace aira
