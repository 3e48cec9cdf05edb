// What `doctor` looks at: each probe tells one thing, and what to do where it could be better.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/command_line.h"
#include "app/model_lookup.h"

namespace aira {

enum class Mark : std::uint8_t {
  kGood,
  kNote,  // answers come, but something could be better
  kBad,   // the program cannot answer
};

struct Finding {
  Mark mark = Mark::kGood;
  std::string text = {};              // for people
  nlohmann::ordered_json value = {};  // for programs
  std::string advice = {};            // a sentence; empty: there is nothing to do
};

/// What a probe knows of earlier ones, and leaves for later ones.
struct Examined {
  std::optional<FoundModel> model;
  std::int64_t bytes = 0;       // of the model's weights as they are kept while running
  double bytes_per_second = 0;  // of memory; 0: unknown
};

struct Probe {
  const char* section;  // to_translate()
  const char* name;     // to_translate()
  /// May throw; an Error is what keeps the program from answering.
  Finding (*look)(const CommonOptions& options, Examined& examined);
};

/// All but those of the model, section by section.
std::span<const Probe> machine_probes();

// doctor_places.cc
Finding look_at_driver(const CommonOptions& options, Examined& examined);
Finding look_at_module(const CommonOptions& options, Examined& examined);
Finding look_at_hub_cache(const CommonOptions& options, Examined& examined);
Finding look_at_packed_weights(const CommonOptions& options, Examined& examined);

/// "a, b"
std::string joined(const std::vector<std::string>& words);
/// The first line of a file of /proc or /sys; empty when there is none.
std::string first_line(const std::filesystem::path& path);
/// What follows "NAME<tabs>: " in a file of such lines; empty without one.
std::string value_in(const std::filesystem::path& path, const std::string& name);

}  // namespace aira
