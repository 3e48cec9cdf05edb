// What a hub, or whoever answers in its place, sends to `pull`: statuses, headers, listings, small
// files. The input is what libcurl hands over.
#include <cstdarg>
#include <nlohmann/json.hpp>

#include "fuzz.h"
#include "hub/curl.h"
#include "hub/pull.h"

namespace aira {
namespace {

/// The answers to come, and what is set for the next request.
struct Script {
  std::vector<std::string> answers;  // each: a byte for the status, headers, an empty line, a body
  std::size_t next = 0;
  std::string location;
  curl_off_t wait = 0;
  curl_write_callback on_header = nullptr, on_body = nullptr;
  void* header_data = nullptr;
  void* body_data = nullptr;
  bool no_body = false;
};
Script script;

CURLcode set(CURL* /*handle*/, CURLoption option, ...) {
  va_list rest;
  va_start(rest, option);
  if (option == CURLOPT_HEADERFUNCTION) script.on_header = va_arg(rest, curl_write_callback);
  if (option == CURLOPT_WRITEFUNCTION) script.on_body = va_arg(rest, curl_write_callback);
  if (option == CURLOPT_HEADERDATA) script.header_data = va_arg(rest, void*);
  if (option == CURLOPT_NOBODY) script.no_body = va_arg(rest, long) != 0;
  if (option == CURLOPT_WRITEDATA) script.body_data = va_arg(rest, void*);
  va_end(rest);
  return CURLE_OK;
}

CURLcode get_info(CURL* /*handle*/, CURLINFO info, ...) {
  va_list rest;
  va_start(rest, info);
  if (info == CURLINFO_REDIRECT_URL) {
    *va_arg(rest, char**) = script.location.empty() ? nullptr : script.location.data();
  } else if (info == CURLINFO_RETRY_AFTER) {
    *va_arg(rest, curl_off_t*) = script.wait;
  }
  va_end(rest);
  return CURLE_OK;
}

CURLcode perform(CURL* /*handle*/) {
  static constexpr int kStatuses[] = {200, 200, 200, 200, 206, 302, 401, 403, 404, 416, 429, 503};
  if (script.next >= script.answers.size()) return CURLE_COULDNT_CONNECT;
  std::string answer = script.answers[script.next++];
  if (answer.empty()) return CURLE_RECV_ERROR;
  const auto kind = static_cast<unsigned char>(answer.front());
  const auto end = std::min(answer.find("\n\n"), answer.size());
  std::string head = "HTTP/1.1 " + std::to_string(kStatuses[kind % std::size(kStatuses)]) + " x\n" +
                     answer.substr(1, end == 0 ? 0 : end - 1) + "\n";
  script.location.clear();
  script.wait = kind;
  for (std::size_t at = 0, line = 0; at < head.size(); at = line + 1) {
    line = head.find('\n', at);
    std::string one = head.substr(at, line - at);
    if (one.starts_with("location:")) script.location = one.substr(9);
    script.on_header(one.data(), 1, one.size(), script.header_data);
  }
  std::string body = answer.substr(std::min(end + 2, answer.size()));
  if (body.empty() || script.no_body) return CURLE_OK;
  return script.on_body(body.data(), 1, body.size(), script.body_data) == body.size()
             ? CURLE_OK
             : CURLE_WRITE_ERROR;
}

}  // namespace

// In the place of the one that loads libcurl.
const Curl& curl() {
  static int handle = 0;
  static const Curl standin = {
      .global_init = [](long) { return CURLE_OK; },
      .init = []() -> CURL* { return &handle; },
      .reset = [](CURL*) {},
      .set = set,
      .perform = perform,
      .info = get_info,
      .strerror = [](CURLcode) { return "it failed"; },
      .cleanup = [](CURL*) {},
      .append = [](curl_slist* list, const char*) { return list; },
      .free_all = [](curl_slist*) {},
  };
  return standin;
}

}  // namespace aira

using namespace aira;

namespace {

/// What a hub says of a model's files must be fit to be a path below its folder.
void check_name(const RemoteFile& file) {
  const std::string name = "/" + file.name + "/";
  FUZZ_CHECK(name.find("/../") == std::string::npos && !file.name.starts_with('/'));
  FUZZ_CHECK(!file.name.empty() && file.size >= 0);
}

void plan(Http& http) {
  Pull pull(http, "a/b", "main", HubCache("/nowhere", true),
            {[] { return true; }, [](const auto&) {}, [](auto) {}, [](const auto&) {}});
  pull.plan(false);
  Repository repository(http, "a/b");
  for (const Pull::File& file : pull.files()) {
    FUZZ_CHECK(!file.whole);
    check_name(file.remote);
    const std::string etag = repository.etag(pull.commit(), file.remote);
    FUZZ_CHECK(!etag.empty() && etag.find('/') == std::string::npos && etag.front() != '.');
  }
  FUZZ_CHECK(pull.missing() == pull.bytes() && is_commit(pull.commit()));
}

/// All that are listed, needed or not.
void list(Http& http) {
  script.next = 1;  // behind the answer that names the commit
  for (const RemoteFile& file : Repository(http, "a/b").files(std::string(40, 'a'))) {
    check_name(file);
  }
}

}  // namespace

FUZZ_TARGET(hub) {
  script = {};
  script.answers = fuzz::parts_of(input, 12);
  HubSettings settings;
  settings.endpoint = "https://hub";
  // Asked before a request is repeated only, which would take time.
  Http http(
      settings, [] { return false; }, [](const auto&) {});
  for (const auto& step : {plan, list}) {
    fuzz::accepts([&] {
      try {
        step(http);
      } catch (const Stopped&) {
      }
    });
  }
}
