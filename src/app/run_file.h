// The FILE of -o and its journal, FILE.aira-run: a line of JSON that says what the run is, then a
// line for each line of the input. A record is written to FILE first and to the journal next, so
// that the journal never claims more than FILE holds: whenever the program dies, what the journal
// does not know is cut off and made again.
#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "app/run_options.h"
#include "base/mapped_file.h"

namespace aira {

/// A line of the input and what was written for it.
struct RunEntry {
  std::int64_t number = 0;   // of the line, from 1; 0: the header of a CSV file
  std::uint64_t line = 0;    // digest of it
  std::int64_t bytes = 0;    // that were written
  std::uint64_t output = 0;  // digest of them
  bool failed = false;
};

/// What the run was that wrote to `path`; nothing when there is nothing to go on with.
std::optional<RunIdentity> former_identity(const std::string& path);

/// Reads what a run has written.
class RunReader {
 public:
  /// Locks the file. Throws Error when it or its journal cannot be read, and when another process
  /// has locked it.
  RunReader(const std::string& path, bool writable);

  const RunIdentity& identity() const { return identity_; }
  /// The next entry and its bytes; nothing at the end or where the program died. Throws Error when
  /// the file does not hold the bytes that were written.
  std::optional<RunEntry> next(std::string& text);
  /// Begins again with the first entry.
  void rewind();
  /// The lines of the input, if the run came to its end; valid when next() has come there.
  std::optional<std::int64_t> lines() const { return lines_; }

 private:
  friend class RunWriter;

  std::string path_;
  std::shared_ptr<const Descriptor> file_;
  std::ifstream journal_;
  RunIdentity identity_;
  std::int64_t first_ = 0;  // where the journal's entries begin
  std::int64_t file_end_ = 0;
  std::int64_t journal_end_ = 0;
  std::optional<std::int64_t> lines_;
};

/// Writes a run's records.
class RunWriter {
 public:
  /// Makes the file, which must not be there, and its journal. Throws Error.
  RunWriter(const std::string& path, const RunIdentity& identity);
  /// Goes on behind what `done` has read; what follows that is cut off. Throws Error.
  explicit RunWriter(const RunReader& done);

  /// Throws WriteFailed.
  void append(RunEntry entry, const std::string& text);
  /// The input has ended after so many lines. Throws WriteFailed.
  void finish(std::int64_t lines);
  /// Puts the file in the place of `path`. Throws Error.
  void replace(const std::string& path);
  /// Removes the file.
  void discard();

 private:
  std::string path_;
  std::shared_ptr<const Descriptor> file_;
  std::shared_ptr<const Descriptor> journal_;
};

/// Where the file is written that replaces `path` after --retry-failed.
std::string retry_path(const std::string& path);

}  // namespace aira
