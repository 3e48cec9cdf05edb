#include "server/access.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/catalogue.h"
#include "base/printable.h"
#include "server/api_error.h"

namespace aira {
namespace {

/// As long for any text of the same length, so that time tells nothing about a key.
bool same_text(std::string_view a, std::string_view b) {
  unsigned char difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i] ^ (b.empty() ? '\0' : b[i % b.size()]));
  }
  return difference == 0;
}

/// "localhost" of "localhost:8080", "::1" of "[::1]:8080".
std::string name_in(std::string_view host) {
  if (host.starts_with('[')) return std::string(host.substr(1, host.find(']') - 1));
  std::string name(host.substr(0, host.find(':')));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char letter) { return std::tolower(letter); });
  return name;
}

/// No name can be made to point to an address that is written as one.
bool is_address_literal(std::string_view host) {
  return host.find_first_not_of("0123456789.") == std::string_view::npos ||
         host.find(':') != std::string_view::npos;
}

}  // namespace

void check_key(const AccessRules& rules, const HttpRequest& request) {
  if (rules.keys.empty()) return;
  std::string_view given = request.header("Authorization");
  constexpr std::string_view kScheme = "Bearer ";
  given = given.starts_with(kScheme) ? given.substr(kScheme.size()) : std::string_view();
  bool known = false;
  for (const std::string& key : rules.keys) known |= same_text(given, key);
  if (known) return;
  throw ApiError{
      401,
      message("The request needs a valid key in the header {}.", {"\"Authorization: Bearer KEY\""}),
      "", "invalid_api_key"};
}

/// A page elsewhere may point a name of its own at this machine (DNS rebinding) and would then
/// count as of the same origin; its Host tells.
void check_host(const AccessRules& rules, const HttpRequest& request) {
  const std::string_view host = request.header("Host");
  if (!rules.keys.empty() || host.empty()) return;
  const std::string name = name_in(host);
  if (is_address_literal(name) || name == "localhost" || name.ends_with(".localhost") ||
      rules.hosts.contains(name)) {
    return;
  }
  throw ApiError{
      403,
      message("The header Host names {}, which is not allowed here (--allow-host).", {quote(host)}),
      "", "host_not_allowed"};
}

void allow_origin(const AccessRules& rules, const HttpRequest& request, Headers& headers) {
  const std::string origin(request.header("Origin"));
  if (origin.empty()) return;
  const auto& known = rules.origins;
  const bool listed = std::find(known.begin(), known.end(), origin) != known.end() ||
                      std::find(known.begin(), known.end(), "*") != known.end();
  const std::size_t scheme = origin.find("://");
  const bool own =
      scheme != std::string::npos && origin.substr(scheme + 3) == request.header("Host");
  if (!listed && !own) {
    throw ApiError{403,
                   message("Pages of {} may not use this server (--cors-origin).", {quote(origin)}),
                   "", "origin_not_allowed"};
  }
  if (!listed) return;
  headers.emplace_back("Access-Control-Allow-Origin", origin);
  headers.emplace_back("Vary", "Origin");
  headers.emplace_back("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
  headers.emplace_back("Access-Control-Allow-Headers", "Authorization, Content-Type");
  headers.emplace_back("Access-Control-Expose-Headers", "x-aira-ignored, x-aira-seed");
  headers.emplace_back("Access-Control-Max-Age", "600");
}

}  // namespace aira
