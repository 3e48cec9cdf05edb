#include "server/openapi.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "base/catalogue.h"
#include "run/request_options.h"

namespace aira {

using nlohmann::ordered_json;

namespace {

ordered_json typed(const char* type) { return {{"type", ordered_json::array({type, "null"})}}; }
ordered_json list_of(ordered_json items) {
  return {{"type", "array"}, {"items", std::move(items)}};
}
ordered_json either(std::initializer_list<ordered_json> schemas) {
  ordered_json any = ordered_json::array();
  for (const ordered_json& schema : schemas) any.push_back(schema);
  return {{"anyOf", std::move(any)}};
}
ordered_json named(const char* name) {
  return {{"$ref", std::string("#/components/schemas/") + name}};
}
const ordered_json kText = {{"type", "string"}};
const ordered_json kId = {{"type", "integer"}, {"minimum", 0}};
const ordered_json kNull = {{"type", "null"}};

/// A number within the option's range, as far as JSON has words for it.
ordered_json number(const RequestOption& row, const char* type) {
  ordered_json schema = typed(type);
  if (std::abs(row.range.from) < 1e30) schema["minimum"] = row.range.from;
  if (std::abs(row.range.to) < 1e30) schema["maximum"] = row.range.to;
  return schema;
}

ordered_json schema_of(const RequestOption& row) {
  return std::visit(
      [&]<typename T>(const Member<T>&) -> ordered_json {
        if constexpr (std::is_same_v<T, bool>) {
          return typed("boolean");
        } else if constexpr (std::is_integral_v<T>) {
          return number(row, "integer");
        } else if constexpr (std::is_same_v<T, double>) {
          return number(row, "number");
        } else if constexpr (std::is_same_v<T, EarlyStopping>) {
          return {{"enum", ordered_json::array({true, false, "never", nullptr})}};
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          return either({kNull, kText, list_of(kText)});
        } else {
          return ordered_json::object();  // its own words say what it takes
        }
      },
      row.member);
}

ordered_json described(ordered_json schema, const std::string& text) {
  schema["description"] = text;
  return schema;
}

/// What both kinds of completions take besides their text.
ordered_json common_fields() {
  ordered_json fields;
  for (const RequestOption& row : request_options()) {
    fields[row.name] =
        described(schema_of(row), message(row.help) + " (" + message(row.range.words) + ")");
  }
  for (const auto& [other, name] : {std::pair{"max_tokens", "max_new_tokens"},
                                    {"max_completion_tokens", "max_new_tokens"},
                                    {"n", "num_return_sequences"}}) {
    fields[other] = fields[name];
  }
  fields["max_tokens"]["minimum"] = 0;
  fields["seed"] = {{"type", ordered_json::array({"integer", "null"})}};
  fields["model"] = typed("string");
  fields["stream"] = typed("boolean");
  fields["stream_options"] = {{"type", ordered_json::array({"object", "null"})},
                              {"properties", {{"include_usage", {{"type", "boolean"}}}}}};
  fields["user"] = ordered_json::object();
  return fields;
}

ordered_json completion_body() {
  ordered_json fields = common_fields();
  fields["prompt"] = either({kText, list_of(kText), list_of(kId), list_of(list_of(kId))});
  fields["echo"] = typed("boolean");
  fields["logprobs"] = {
      {"type", ordered_json::array({"integer", "null"})}, {"minimum", 0}, {"maximum", 1000}};
  return {{"type", "object"},
          {"required", ordered_json::array({"prompt"})},
          {"properties", std::move(fields)}};
}

ordered_json chat_body() {
  ordered_json fields = common_fields();
  const ordered_json part = {{"type", "object"},
                             {"required", ordered_json::array({"type", "text"})},
                             {"properties", {{"type", {{"const", "text"}}}, {"text", kText}}}};
  fields["messages"] = list_of(
      {{"type", "object"},
       {"required", ordered_json::array({"role", "content"})},
       {"properties",
        {{"role", {{"enum", ordered_json::array({"system", "developer", "user", "assistant"})}}},
         {"content", either({kText, list_of(part)})}}}});
  fields["logprobs"] = typed("boolean");
  fields["top_logprobs"] = {
      {"type", ordered_json::array({"integer", "null"})}, {"minimum", 0}, {"maximum", 1000}};
  fields["history"] = typed("boolean");
  fields["prefix_ids"] = either({kNull, list_of(kId)});
  return {{"type", "object"},
          {"required", ordered_json::array({"messages"})},
          {"properties", std::move(fields)}};
}

ordered_json object_with(std::initializer_list<std::pair<const char*, ordered_json>> fields) {
  ordered_json properties;
  ordered_json required = ordered_json::array();
  for (const auto& [name, schema] : fields) {
    properties[name] = schema;
    required.push_back(name);
  }
  return {
      {"type", "object"}, {"required", std::move(required)}, {"properties", std::move(properties)}};
}

ordered_json content(const char* type, ordered_json schema) {
  return {{type, {{"schema", std::move(schema)}}}};
}

/// The replies of an operation: 200 with this content, and errors.
ordered_json replies(ordered_json good, std::initializer_list<const char*> errors) {
  ordered_json all = {{"200", {{"description", "OK"}, {"content", std::move(good)}}}};
  for (const char* status : errors) {
    all[status] = {{"description", "error"},
                   {"content", content("application/json", named("Error"))}};
  }
  return all;
}

ordered_json operation(const char* summary, ordered_json good,
                       std::initializer_list<const char*> errors) {
  return {{"summary", summary}, {"responses", replies(std::move(good), errors)}};
}

ordered_json taking(ordered_json made, const char* body) {
  made["requestBody"] = {{"required", true}, {"content", content("application/json", named(body))}};
  return made;
}

}  // namespace

ordered_json openapi_document() {
  const auto json = [](ordered_json schema) {
    return content("application/json", std::move(schema));
  };
  ordered_json answers = json({{"type", "object"}});
  answers.update(content("text/event-stream", ordered_json::object()));
  const ordered_json health = json(object_with({{"status", kText}}));
  const ordered_json key =
      ordered_json::array({ordered_json::object(), {{"key", ordered_json::array()}}});
  ordered_json paths;
  const auto completion = [&](const char* summary, const char* body) {
    return taking(operation(summary, answers,
                            {"400", "401", "403", "404", "408", "413", "429", "431", "500", "503"}),
                  body);
  };
  paths["/v1/chat/completions"]["post"] = completion("Answer the last message", "Chat");
  paths["/v1/completions"]["post"] = completion("Go on from a text", "Completion");
  paths["/v1/models"]["get"] = operation(
      "The models", json(object_with({{"object", kText}, {"data", list_of(named("Model"))}})),
      {"401", "403", "503"});
  paths["/v1/models/{id}"]["get"] =
      operation("One model", json(named("Model")), {"401", "403", "404", "503"});
  paths["/v1/models/{id}"]["parameters"] = ordered_json::array(
      {{{"name", "id"}, {"in", "path"}, {"required", true}, {"schema", kText}}});
  paths["/tokenize"]["post"] =
      taking(operation("A text as tokens",
                       json(object_with({{"tokens", {{"type", "array"}}}, {"count", kId}})),
                       {"400", "401", "403", "413", "503"}),
             "Tokenize");
  paths["/detokenize"]["post"] =
      taking(operation("Tokens as text", json(object_with({{"prompt", kText}})),
                       {"400", "401", "403", "413", "503"}),
             "Detokenize");
  paths["/tokenizer_info"]["get"] = operation("Special tokens and chat template",
                                              json({{"type", "object"}}), {"401", "403", "503"});
  for (const char* path : {"/health", "/v1/health"}) {
    paths[path]["get"] = operation("Whether it answers", health, {"403"});
    paths[path]["get"]["responses"]["503"] = {{"description", "loading or draining"},
                                              {"content", health}};
  }
  paths["/metrics"]["get"] =
      operation("For Prometheus", content("text/plain", kText), {"401", "403"});
  paths["/openapi.json"]["get"] = operation("This document", json({{"type", "object"}}), {"403"});
  const ordered_json nullable = typed("string");
  ordered_json schemas;
  schemas["Error"] = object_with(
      {{"error",
        object_with(
            {{"message", kText}, {"type", kText}, {"param", nullable}, {"code", nullable}})}});
  schemas["Model"] =
      object_with({{"id", kText}, {"object", kText}, {"created", kId}, {"owned_by", kText}});
  schemas["Completion"] = completion_body();
  schemas["Chat"] = chat_body();
  schemas["Tokenize"] = {{"type", "object"},
                         {"properties",
                          {{"prompt", kText},
                           {"content", kText},
                           {"add_special_tokens", {{"type", "boolean"}}},
                           {"with_pieces", {{"type", "boolean"}}}}}};
  schemas["Detokenize"] = object_with({{"tokens", list_of(kId)}});
  return {{"openapi", "3.1.0"},
          {"info", {{"title", "aira-cli serve"}, {"version", AIRA_VERSION}}},
          {"security", key},
          {"paths", std::move(paths)},
          {"components",
           {{"schemas", std::move(schemas)},
            {"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}}}}};
}

}  // namespace aira
