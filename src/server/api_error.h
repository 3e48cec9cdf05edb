// What a client is told in place of an answer, in the form of OpenAI's interface.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "aira/error.h"

namespace aira {

struct ApiError {
  int status = 400;
  std::string message;
  std::string param = {};  // the field that is to blame; empty: none
  std::string code = {};   // for programs; empty: none

  std::string_view type() const {
    if (status == 401) return "authentication_error";
    if (status == 403) return "permission_error";
    if (status == 404) return "not_found_error";
    if (status == 429) return "rate_limit_error";
    return status >= 500 ? "server_error" : "invalid_request_error";
  }
  nlohmann::ordered_json body() const {
    const auto or_null = [](const std::string& text) {
      return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
    };
    return {{"error",
             {{"message", message},
              {"type", type()},
              {"param", or_null(param)},
              {"code", or_null(code)}}}};
  }
};

/// The error of a request whose field `param` is to blame.
inline ApiError bad_request(const Error& error, std::string param = {}) {
  return {400, error.with_fields(), std::move(param), error.id()};
}

}  // namespace aira
