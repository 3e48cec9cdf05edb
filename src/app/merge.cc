// merge: the files of all parts of a run, made with --shard, as the file of one run.
#include <CLI/CLI.hpp>
#include <deque>
#include <memory>
#include <vector>

#include "app/command_line.h"
#include "app/output.h"
#include "app/run_file.h"
#include "base/printable.h"

namespace aira {
namespace {

struct MergeOptions {
  std::optional<std::string> output;
  std::vector<std::string> files;
};

/// A part with its next entry.
struct Part {
  explicit Part(const std::string& path) : file(path), reader(path, false) { step(); }
  void step() { entry = reader.next(text); }

  std::string file;
  RunReader reader;
  std::optional<RunEntry> entry;
  std::string text;
};

/// Throws Error when `parts` are not all the parts of one run; returns what that is.
RunIdentity common_identity(const std::deque<Part>& parts) {
  RunIdentity common = parts.front().reader.identity();
  common.erase("--shard");
  std::vector<std::string> owners(parts.size());
  for (const Part& part : parts) {
    RunIdentity identity = part.reader.identity();
    const std::string shard = identity["--shard"];
    identity.erase("--shard");
    require_same(common, identity, parts.front().file);
    RunOptions run;
    if (!read_shard(shard, run)) {
      throw Error("[E190] {} is no part of a run; merge joins files that were made with --shard.",
                  {quote(part.file, 4096)});
    }
    if (run.shards != std::ssize(parts)) {
      throw Error("[E191] {} is part {}, but {} files are given; give each part once.",
                  {quote(part.file, 4096), shard, std::to_string(parts.size())});
    }
    std::string& owner = owners[static_cast<std::size_t>(run.shard) - 1];
    if (!owner.empty()) {
      throw Error("[E192] {} and {} are both part {}; give each part once.",
                  {quote(owner, 4096), quote(part.file, 4096), shard});
    }
    owner = part.file;
  }
  return common;
}

/// The part whose entry comes next; null at the end.
Part* next_part(std::deque<Part>& parts) {
  Part* first = nullptr;
  for (Part& part : parts) {
    if (part.entry && (first == nullptr || part.entry->number < first->entry->number))
      first = &part;
  }
  return first;
}

/// Throws Error when a part, read to its end, is not whole.
std::int64_t lines_of(const std::deque<Part>& parts) {
  for (const Part& part : parts) {
    if (!part.reader.lines()) {
      throw Error("[E193] {} is not whole; give the command that made it with --resume.",
                  {quote(part.file, 4096)});
    }
    if (part.reader.lines() != parts.front().reader.lines()) {
      throw Error("[E194] {} and {} come from inputs of different length.",
                  {quote(parts.front().file, 4096), quote(part.file, 4096)});
    }
  }
  return *parts.front().reader.lines();
}

int run_merge(const MergeOptions& options) {
  std::deque<Part> parts;
  for (const std::string& file : options.files) parts.emplace_back(file);
  RunWriter output(*options.output, common_identity(parts));
  try {
    while (Part* part = next_part(parts)) {
      // The header of a table is in each part.
      if (part->entry->number > 0 || part == &parts.front())
        output.append(*part->entry, part->text);
      part->step();
    }
    output.finish(lines_of(parts));
  } catch (...) {
    output.discard();
    throw;
  }
  return kDone;
}

}  // namespace

Action set_up_merge(CLI::App& app) {
  const auto options = std::make_shared<MergeOptions>();
  app.description(
      message("aira-cli merge -o FILE PARTS...   Join the parts that --shard has made"));
  app.footer(message("Examples:") + R"(
  aira-cli -f perguntas.txt --seed 1 --shard 1/2 -o parte1.txt
  aira-cli -f perguntas.txt --seed 1 --shard 2/2 -o parte2.txt
  aira-cli merge -o tudo.txt parte1.txt parte2.txt)");
  app.option_defaults()->group(message("Output"));
  add_text(app, "-o,--output", options->output, "FILE", message("Write to FILE"));
  app.add_option("PARTS", options->files)->take_all();
  app.final_callback([options] {
    if (!options->output || options->files.empty()) {
      throw UsageError("[E195] merge needs --output FILE and the files of all parts.");
    }
  });
  return [options] { return run_merge(*options); };
}

}  // namespace aira
