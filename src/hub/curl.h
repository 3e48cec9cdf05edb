// libcurl, loaded when something is fetched: linked, it and what it needs would add to the start of
// every command.
#pragma once

#include <curl/curl.h>

namespace aira {

struct Curl {
  decltype(&::curl_global_init) global_init;
  decltype(&::curl_easy_init) init;
  decltype(&::curl_easy_reset) reset;
  decltype(&::curl_easy_setopt) set;
  decltype(&::curl_easy_perform) perform;
  decltype(&::curl_easy_getinfo) info;
  decltype(&::curl_easy_strerror) strerror;
  decltype(&::curl_easy_cleanup) cleanup;
  decltype(&::curl_slist_append) append;
  decltype(&::curl_slist_free_all) free_all;
};

/// Throws Error where there is none.
const Curl& curl();

}  // namespace aira
