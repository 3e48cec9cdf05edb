// GET /openapi.json: what the endpoints take and give, as OpenAPI 3.1.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace aira {

/// Fields of the table of request options (run/request_options.h) included, with their ranges.
nlohmann::ordered_json openapi_document();

}  // namespace aira
