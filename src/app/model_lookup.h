// Which model is meant, and what runs it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "aira/engine.h"
#include "app/command_line.h"
#include "app/hub.h"
#include "base/thread_pool.h"
#include "model/backend.h"

namespace aira {

inline constexpr const char* kDefaultModel = "nicholasKluge/Aira-2-portuguese-124M";

struct FoundModel {
  ModelFiles files;
  std::string name;   // for people: a hub id, a folder's path, "aira-mini"
  std::string found;  // how it was found: "folder", "Hugging Face cache", "built in"
};

/// The model of -m, the --adapter's base, $AIRA_MODEL, the config file, the Hugging Face cache or
/// the built-in one, with a line on stderr for the last; with the adapter. Throws Error when there
/// is no such model, when what is there is no model (a sentence says what it is), and when the
/// default model is in the cache but not whole.
FoundModel find_model(const CommonOptions& options);

/// What chose that model: "-m", "--adapter", "$AIRA_MODEL", "config file" or "default".
const char* origin_of_model(const CommonOptions& options);

/// Throws Error, which names it, when a file that a model needs is missing.
void require_whole(const ModelFiles& files);

EngineOptions engine_options(const CommonOptions& options, const FoundModel& model,
                             std::int64_t max_sequences, std::int64_t expected_answers = 0);

/// A model and its backend, for commands that need no engine.
struct ModelOnBackend {
  /// Throws Error.
  explicit ModelOnBackend(const CommonOptions& options);

  FoundModel found;
  ThreadPool pool;
  std::unique_ptr<Backend> backend;
};

}  // namespace aira
