// Requests to the hub over HTTPS: redirects, retries, and a token that no other host gets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "aira/error.h"
#include "hub/settings.h"

namespace aira {

/// The hub did not answer, which says nothing about the model.
struct NoAnswer : Error {
  explicit NoAnswer(const Error& error) : Error(error) {}
};

/// go_on() said no.
struct Stopped {};

/// Takes the body of an answer.
class Body {
 public:
  virtual ~Body() = default;
  /// The bytes so far; a request that is repeated asks for what follows them.
  virtual std::int64_t size() const = 0;
  /// Forgets them: the answer begins anew.
  virtual void restart() = 0;
  virtual void add(std::string_view bytes) = 0;
};

struct HttpAnswer {
  long status = 0;
  std::map<std::string, std::string> headers;  // by their names in lower case
  std::string url;                             // that was asked last

  /// Empty when it is missing.
  std::string header(const std::string& name) const;
};

/// "https://host:port"
std::string origin_of(std::string_view url);

/// `text` for a part of a URL's path: all but letters, digits, - . _ ~ as %NN.
std::string url_encoded(std::string_view text);

class Http {
 public:
  /// `go_on` is asked at least once a second; `notice` gets sentences about retries.
  Http(HubSettings settings, std::function<bool()> go_on,
       std::function<void(const std::string&)> notice);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  /// The answer to HEAD `url`; redirects are followed as long as they stay on its host. Other
  /// statuses than 2xx and 3xx are returned, too. Throws NoAnswer, Stopped, and Error for a
  /// redirect to where no request goes.
  HttpAnswer head(const std::string& url);
  /// GET `url`, with all redirects, into `body`. Begins behind what `body` has already; when the
  /// connection breaks, goes on there. Throws also what `body` does.
  HttpAnswer get(const std::string& url, Body& body);

  const HubSettings& settings() const { return settings_; }

 private:
  struct Request {
    std::string url;
    Body* body = nullptr;  // null: HEAD
  };
  struct Exchange;
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* exchange);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* exchange);

  HttpAnswer patiently(const Request& request);
  HttpAnswer follow(const Request& request);
  HttpAnswer perform(const Request& request);
  [[noreturn]] void fail(int code, const char* detail, const Request& request);
  void wait(double seconds) const;

  HubSettings settings_;
  std::function<bool()> go_on_;
  std::function<void(const std::string&)> notice_;
  void* handle_;
  bool answered_ = false;  // the hub was there before: what fails now may be mended by waiting
};

/// The Error for a status that is not 2xx or 3xx. Of the body, which may be a page for a browser,
/// nothing is shown.
Error status_error(const HttpAnswer& answer);

}  // namespace aira
