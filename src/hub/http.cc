// Redirects are followed here and not by libcurl, so that what each host is sent is in plain sight.
#include "hub/http.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "base/printable.h"
#include "hub/curl.h"
#include "run/task.h"

namespace aira {
namespace {

constexpr int kRetries = 4;           // without a byte of progress
constexpr double kFirstWait = 0.5;    // seconds; then twice as long each time
constexpr double kLongestWait = 300;  // that a server may ask for
constexpr int kRedirects = 10;

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t from = std::min(text.find_first_not_of(kBlanks), text.size());
  return text.substr(from, text.find_last_not_of(kBlanks) + 1 - from);
}

/// The host of `url` for people.
std::string host_of(const std::string& url) {
  const std::string origin = origin_of(url);
  return printable(origin.substr(origin.find("://") + 3), 200);
}

bool is_transient(long status) {
  constexpr std::array<long, 6> kTransient = {408, 429, 500, 502, 503, 504};
  return std::find(kTransient.begin(), kTransient.end(), status) != kTransient.end();
}

}  // namespace

/// One request and its answer, as the callbacks see them.
struct Http::Exchange {
  const Request& request;
  const std::function<bool()>& go_on;
  HttpAnswer answer = {};
  bool begun = false;               // a part of the body has come
  bool misplaced = false;           // which does not follow what is there
  std::exception_ptr problem = {};  // exceptions must not pass through libcurl
};

std::string HttpAnswer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

std::string origin_of(std::string_view url) {
  const std::size_t host = std::min(url.find("://"), url.size() - 3) + 3;
  return lower(url.substr(0, url.find_first_of("/?#", host)));
}

std::string url_encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    const auto byte = static_cast<unsigned char>(c);
    if (plain) {
      encoded += c;
    } else {
      encoded += {'%', kDigits[byte >> 4U], kDigits[byte & 0xFU]};
    }
  }
  return encoded;
}

Error status_error(const HttpAnswer& answer) {
  const std::string url = printable(answer.url.substr(0, answer.url.find('?')), 300);
  const std::string said = answer.header("x-error-message");
  if (!said.empty() && said.find('<') == std::string::npos) {
    return Error("[E630] {} was answered with HTTP status {} ({}).",
                 {url, std::to_string(answer.status), printable(said, 300)});
  }
  return Error("[E629] {} was answered with HTTP status {}; try again later.",
               {url, std::to_string(answer.status)});
}

Http::Http(HubSettings settings, std::function<bool()> go_on,
           std::function<void(const std::string&)> notice)
    : settings_(std::move(settings)),
      go_on_(std::move(go_on)),
      notice_(std::move(notice)),
      handle_(curl().init()) {
  if (handle_ == nullptr) throw std::bad_alloc();
}

Http::~Http() { curl().cleanup(handle_); }

HttpAnswer Http::head(const std::string& url) { return patiently({url}); }

HttpAnswer Http::get(const std::string& url, Body& body) { return patiently({url, &body}); }

HttpAnswer Http::patiently(const Request& request) {
  const auto size = [&] { return request.body == nullptr ? 0 : request.body->size(); };
  double pause = kFirstWait;
  for (int left = kRetries;; --left, pause *= 2) {
    const std::int64_t before = size();
    std::optional<NoAnswer> problem;
    curl_off_t asked = 0;  // seconds
    try {
      HttpAnswer answer = follow(request);
      if (!is_transient(answer.status)) return answer;
      curl().info(handle_, CURLINFO_RETRY_AFTER, &asked);
      problem = NoAnswer(status_error(answer));
    } catch (const NoAnswer& error) {
      if (!answered_) throw;
      problem = error;
    }
    if (size() > before) {
      left = kRetries;
      pause = kFirstWait;
    }
    if (static_cast<double>(asked) > kLongestWait) {
      throw NoAnswer(Error("[E631] {} wants no further request for {} s; try again then.",
                           {host_of(request.url), std::to_string(asked)}));
    }
    if (left == 0) throw *problem;
    const double seconds = std::max(pause, static_cast<double>(asked));
    if (seconds >= 1) {
      notice_(message("no answer from {} yet; trying again in {} s.",
                      {host_of(request.url), std::to_string(static_cast<int>(seconds + 0.5))}));
    }
    wait(seconds);
  }
}

HttpAnswer Http::follow(const Request& request) {
  Request hop = request;
  for (int hops = 0; hops < kRedirects; ++hops) {
    HttpAnswer answer = perform(hop);
    char* next = nullptr;  // made absolute by libcurl
    curl().info(handle_, CURLINFO_REDIRECT_URL, &next);
    if (answer.status / 100 != 3 || next == nullptr) return answer;
    const std::string target = next;
    if (!target.starts_with("https://")) {
      throw Error("[E632] {} redirects to {}, which is not https, so that it is not followed.",
                  {host_of(hop.url), quote(target.substr(0, target.find('?')), 200)});
    }
    // What another host says of a file is not the hub's word.
    if (request.body == nullptr && origin_of(target) != origin_of(hop.url)) return answer;
    hop.url = target;
  }
  throw Error("[E633] {} redirects again and again; check HF_ENDPOINT and the proxy.",
              {host_of(request.url)});
}

std::size_t Http::on_header(char* data, std::size_t size, std::size_t count, void* exchange) {
  HttpAnswer& answer = static_cast<Exchange*>(exchange)->answer;
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) {  // a proxy's answer and "100 Continue" come before
    answer.headers.clear();
    answer.status = std::strtol(line.data() + std::min(line.find(' '), line.size()), nullptr, 10);
  } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
    answer.headers[lower(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
  }
  return size * count;
}

std::size_t Http::on_body(char* data, std::size_t size, std::size_t count, void* exchange) {
  Exchange& now = *static_cast<Exchange*>(exchange);
  const long status = now.answer.status;
  Body* const body = now.request.body;
  if (status != 200 && status != 206) return size * count;  // a page that says what is wrong
  try {
    if (!std::exchange(now.begun, true) && body->size() > 0) {
      const std::string range = "bytes " + std::to_string(body->size()) + "-";
      now.misplaced = status == 206 && !now.answer.header("content-range").starts_with(range);
      if (status == 200 || now.misplaced) body->restart();
      if (now.misplaced) return 0;
    }
    body->add({data, size * count});
    return size * count;
  } catch (...) {
    now.problem = std::current_exception();
    return 0;
  }
}

HttpAnswer Http::perform(const Request& request) {
  const Curl& api = curl();
  Exchange exchange{request, go_on_};
  exchange.answer.url = request.url;
  std::array<char, CURL_ERROR_SIZE> detail{};
  curl_slist* list = nullptr;
  // The true size of a file is that of its bytes, not of their compressed form.
  list = api.append(list, "Accept-Encoding: identity");
  list = api.append(list, "User-Agent: aira-cli/" AIRA_VERSION);
  if (!settings_.token.empty() && origin_of(request.url) == origin_of(settings_.endpoint)) {
    list = api.append(list, ("Authorization: Bearer " + settings_.token).c_str());
  }
  const std::unique_ptr<curl_slist, decltype(api.free_all)> headers(list, api.free_all);
  const long timeout = request.body == nullptr ? settings_.head_timeout : settings_.timeout;
  CURL* const handle = handle_;
  api.reset(handle);  // connections stay
  api.set(handle, CURLOPT_URL, request.url.c_str());
  api.set(handle, CURLOPT_NOBODY, request.body == nullptr ? 1L : 0L);
  api.set(handle, CURLOPT_HTTPHEADER, headers.get());
  api.set(handle, CURLOPT_NOSIGNAL, 1L);
  api.set(handle, CURLOPT_CONNECTTIMEOUT, timeout);
  api.set(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  api.set(handle, CURLOPT_LOW_SPEED_TIME, timeout);
  api.set(handle, CURLOPT_ERRORBUFFER, detail.data());
  api.set(handle, CURLOPT_HEADERFUNCTION, &Http::on_header);
  api.set(handle, CURLOPT_HEADERDATA, &exchange);
  api.set(handle, CURLOPT_WRITEFUNCTION, &Http::on_body);
  api.set(handle, CURLOPT_WRITEDATA, &exchange);
  int (*go_on)(void*, curl_off_t, curl_off_t, curl_off_t,
               curl_off_t) = [](void* now, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Exchange*>(now)->go_on() ? 0 : 1;
  };
  api.set(handle, CURLOPT_NOPROGRESS, 0L);
  api.set(handle, CURLOPT_XFERINFOFUNCTION, go_on);
  api.set(handle, CURLOPT_XFERINFODATA, &exchange);
  if (!settings_.certificates.empty()) {
    api.set(handle, CURLOPT_CAINFO, settings_.certificates.c_str());
  }
  std::string range;
  if (request.body != nullptr && request.body->size() > 0) {
    range = std::to_string(request.body->size()) + "-";
    api.set(handle, CURLOPT_RANGE, range.c_str());
  }

  const CURLcode code = api.perform(handle);
  if (exchange.problem) std::rethrow_exception(exchange.problem);
  answered_ = answered_ || exchange.answer.status > 0;
  if (exchange.answer.status == 416 && !range.empty()) {  // the file ends before
    request.body->restart();
    return perform(request);
  }
  if (code != CURLE_OK)
    fail(exchange.misplaced ? CURLE_PARTIAL_FILE : code, detail.data(), request);
  return std::move(exchange.answer);
}

void Http::fail(int code, const char* detail, const Request& request) {
  const std::string host = host_of(request.url);
  const char* const general = curl().strerror(static_cast<CURLcode>(code));
  const std::string reason = printable(*detail == '\0' ? general : detail, 300);
  switch (code) {
    case CURLE_ABORTED_BY_CALLBACK:
      throw Stopped();
    case CURLE_OPERATION_TIMEDOUT: {
      const bool head = request.body == nullptr;
      throw NoAnswer(
          Error("[E625] {} said nothing for {} s; try again later, or set {} to more seconds.",
                {host, std::to_string(head ? settings_.head_timeout : settings_.timeout),
                 head ? "HF_HUB_ETAG_TIMEOUT" : "HF_HUB_DOWNLOAD_TIMEOUT"}));
    }
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      throw Error(
          "[E626] The certificate of {} could not be verified ({}); SSL_CERT_FILE names a file of "
          "certificates to trust.",
          {host, reason});
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
      throw NoAnswer(Error(
          "[E627] The connection to {} was lost; what was fetched is kept, and the same command "
          "goes on from there.",
          {host}));
    default:
      throw NoAnswer(
          Error("[E628] {} cannot be reached ({}); check the connection, and HTTPS_PROXY if there "
                "is a proxy.",
                {host, reason}));
  }
}

void Http::wait(double seconds) const {
  const auto start = std::chrono::steady_clock::now();
  while (seconds_since(start) < seconds) {
    if (!go_on_()) throw Stopped();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace aira
