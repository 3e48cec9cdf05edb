// The bodies of /v1/completions and /v1/chat/completions.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "aira/engine.h"
#include "run/request_options.h"

namespace aira {

/// What becomes of a message of the role "system" where the model's form of a dialogue has no place
/// for one.
enum class SystemRole : std::uint8_t { kPrepend, kIgnore, kRefuse };

/// A loaded model, and what the command line says about requests.
struct ServedModel {
  ServedModel(EngineOptions options, std::string id, const RequestChanges& changes);

  std::string id;
  Engine engine;
  GenerateOptions defaults;
  RequestChanges changes;
  bool keep_turns = false;  // of Aira, whose training knows single questions only
  SystemRole system = SystemRole::kPrepend;
  std::string form = {};         // --template
  std::string fingerprint = {};  // of what answers depend on: version, model, weights, kernels
};

struct CompletionRequest {
  bool chat = false;
  std::vector<std::vector<std::int32_t>> prompts;
  GenerateOptions options;
  bool generates = true;    // max_tokens is not 0
  bool echo = false;        // the prompt before the answer
  bool keep_space = false;  // around an answer
  bool stream = false;
  bool include_usage = false;  // a last chunk of a stream with the numbers of tokens
  std::int64_t logprobs = -1;  // -1: none
  std::string ignored;         // fields that mean nothing here: "a, b"
};

/// Throws ApiError, which names the field.
CompletionRequest read_completion(const nlohmann::json& body, bool chat, ServedModel& model);

/// The ids of "prompt" or "content" of /tokenize. Throws ApiError.
std::vector<std::int32_t> read_text_to_tokenize(const nlohmann::json& body, ServedModel& model);

/// The ids of "tokens" of /detokenize. Throws ApiError.
std::vector<std::int32_t> read_ids_to_detokenize(const nlohmann::json& body, ServedModel& model);

}  // namespace aira
