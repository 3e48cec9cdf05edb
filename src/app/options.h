// The command line as a value: which way of using the program, which model, which options.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/settings.h"
#include "device/device.h"
#include "model/tensor.h"

namespace aira {

using DeviceChoice = Device;
enum class Command : std::uint8_t { kAsk, kTokenize, kScore, kInfo, kBench };

struct Options {
  Command command = Command::kAsk;
  // Model
  std::optional<std::string> model;  // folder or hub id
  DeviceChoice device = DeviceChoice::kAuto;
  DType dtype = DType::kF16;
  int threads = 0;  // 0 = all usable cores
  // Input
  std::optional<std::string> question;
  std::optional<std::string> file;  // "-" is stdin
  // How to answer
  Settings settings;
  bool raw = false;
  bool history = false;
  bool numbered = false;
  std::int64_t batch = 32;  // most sequences at once
  // What to print
  bool jsonl = false;
  bool stats = false;
  bool quiet = false;
  // tokenize
  bool plain = false;
  bool decode = false;
  // info and bench
  bool json = false;
  // bench
  std::optional<std::int64_t> prompt_tokens;  // default 512, or the context where that is less
  std::optional<std::int64_t> decode_tokens;  // default 64, or what fits
  std::int64_t repetitions = 5;
};

struct CommandLine {
  Options options;
  std::string text;  // --help or --version: print this and do nothing else
};

/// Throws UsageError. Checked here: everything that can be without the model.
CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace aira
