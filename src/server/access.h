// Who may ask: keys, the names of this machine, pages of other origins.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "server/http_server.h"

namespace aira {

struct AccessRules {
  std::vector<std::string> keys = {};     // --api-key-file; none: everybody may ask
  std::set<std::string> hosts = {};       // names that a Host header may have besides addresses
  std::vector<std::string> origins = {};  // --cors-origin: pages of other hosts; "*": all
};

// All throw ApiError.
void check_key(const AccessRules& rules, const HttpRequest& request);
void check_host(const AccessRules& rules, const HttpRequest& request);
/// Adds to the reply's headers what lets a page read it.
void allow_origin(const AccessRules& rules, const HttpRequest& request, Headers& headers);

}  // namespace aira
