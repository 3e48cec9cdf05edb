#include "hub/settings.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "aira/error.h"
#include "base/printable.h"
#include "base/user_path.h"
#include "run/option_values.h"

namespace aira {
namespace {

bool is_on(const char* variable) {
  std::string value = environment(variable).value_or("");
  std::transform(value.begin(), value.end(), value.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

void read_seconds(const char* variable, long& seconds) {
  const auto value = environment(variable);
  if (!value || (read_word(*value, seconds) && seconds > 0 && seconds <= 86400)) return;
  throw Error("[E621] {} is {}; it must be a whole number of seconds from 1 to 86400.",
              {variable, quote(*value)});
}

/// Empty without any home.
std::string token_path() {
  if (const auto path = environment("HF_TOKEN_PATH")) return expand_path(*path);
  if (const auto home = environment("HF_HOME")) return expand_path(*home) + "/token";
  if (const auto cache = environment("XDG_CACHE_HOME"))
    return expand_path(*cache) + "/huggingface/token";
  const std::string home = expand_path("~");
  return home == "~" ? "" : home + "/.cache/huggingface/token";
}

void read_token(HubSettings& settings) {
  std::string text;
  for (const char* variable : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    if (!text.empty()) break;
    text = environment(variable).value_or("");
    settings.token_place = variable;
  }
  if (text.empty() && !is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
    settings.token_place = token_path();
    std::ifstream file(settings.token_place);
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  constexpr std::string_view kBlanks = " \t\r\n";
  text.erase(0, text.find_first_not_of(kBlanks));
  text.erase(text.find_last_not_of(kBlanks) + 1);
  // A line break would begin another header of the request.
  if (std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c > '~'; })) {
    throw Error("[E622] {} holds no token of the hub; it is one word, such as hf_abc.",
                {printable(settings.token_place)});
  }
  settings.token = text;
}

/// A file of certificates to trust; libcurl itself reads no variable.
std::string certificates() {
  for (const char* variable : {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}) {
    if (const auto file = environment(variable)) return expand_path(*file);
  }
#ifdef AIRA_STATIC  // libcurl was built on another system
  for (const char* file :
       {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem", "/etc/ssl/cert.pem"}) {
    if (::access(file, R_OK) == 0) return file;
  }
#endif
  return "";
}

}  // namespace

HubSettings hub_settings() {
  HubSettings settings;
  if (const auto endpoint = environment("HF_ENDPOINT")) {
    settings.endpoint = *endpoint;
    if (endpoint->find("://") == std::string::npos) settings.endpoint.insert(0, "https://");
    while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
    if (!settings.endpoint.starts_with("https://") ||
        std::any_of(endpoint->begin(), endpoint->end(),
                    [](char c) { return c <= ' ' || c > '~'; })) {
      throw Error("[E620] HF_ENDPOINT is {}; it must be an address that begins with https://.",
                  {quote(*endpoint)});
    }
  }
  for (const char* variable : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}) {
    if (settings.offline.empty() && is_on(variable)) settings.offline = variable;
  }
  settings.symlinks = !is_on("HF_HUB_DISABLE_SYMLINKS");
  read_seconds("HF_HUB_ETAG_TIMEOUT", settings.head_timeout);
  read_seconds("HF_HUB_DOWNLOAD_TIMEOUT", settings.timeout);
  read_token(settings);
  settings.certificates = certificates();
  return settings;
}

}  // namespace aira
