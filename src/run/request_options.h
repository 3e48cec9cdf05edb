// The table of request options: all that the command line, JSON lines, the chat's /params, `info`,
// the help and the documentation know about the members of GenerateOptions. A new option is a
// member, a row of the table and its effect.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "aira/error.h"
#include "aira/generate.h"

namespace aira {

/// A member of GenerateOptions or of its SamplingOptions.
template <typename T>
struct Member {
  constexpr Member(T GenerateOptions::*member) : own(member) {}
  constexpr Member(T SamplingOptions::*member) : sampling(member) {}
  template <typename Options>
  auto& of(Options& options) const {
    return own != nullptr ? options.*own : options.sampling.*sampling;
  }
  bool operator==(const Member&) const = default;

  T GenerateOptions::*own = nullptr;
  T SamplingOptions::*sampling = nullptr;
};

/// Legal values. Numbers lie between `from` and `to`, inclusive.
struct OptionRange {
  const char* words;  // for "... must be WORDS", to_translate()
  double from = 0;
  double to = 0;
};

inline constexpr const char* kSamplingGroup = to_translate("Sampling");
inline constexpr const char* kBeamGroup = to_translate("Beam search");

struct RequestOption {
  const char* name;        // of the JSON field; the flag is --name-with-hyphens
  const char* other_flag;  // "-n" or "--stop-strings", whose field is another name; or empty
  std::variant<Member<bool>, Member<std::int64_t>, Member<std::uint64_t>, Member<double>,
               Member<EarlyStopping>, Member<std::vector<std::string>>,
               Member<std::vector<std::int32_t>>, Member<std::vector<std::vector<std::int32_t>>>,
               Member<std::vector<std::pair<std::int32_t, float>>>,
               Member<std::vector<std::pair<std::vector<std::int32_t>, float>>>,
               Member<std::pair<std::int64_t, double>>>
      member;
  const char* placeholder;  // of the value in --help; empty for a switch
  OptionRange range;
  const char* group;      // heading in --help, to_translate()
  const char* help;       // to_translate()
  bool opposite = false;  // a switch that turns its member off

  /// "--top-k"
  std::string flag() const;
  /// "-n, --num-return-sequences", with this between them.
  std::string flags(const char* separator) const;
  /// The member as a JSON field; null when it is off by a value that cannot be asked for.
  nlohmann::json value(const GenerateOptions& options) const;
  /// The default for --help; empty for switches, lists and the seed, which is drawn.
  std::string default_text() const;
};

/// In the order of --help.
std::span<const RequestOption> request_options();
/// The row of that name, or of that other flag's; null when there is none.
const RequestOption* find_request_option(std::string_view name);
/// The same, but throws UsageError when there is none.
const RequestOption& request_option(std::string_view name);
/// The name of the option that someone means who writes `name`, as other programs call it ("temp")
/// or mistyped; empty when it is like none.
std::string similar_option(std::string_view name);
/// The name of the option that other programs call `name` ("temp"); empty when none does.
std::string_view option_called(std::string_view name);
/// Whether it plays a part only where a token is drawn: temperature and what follows it.
bool shapes_a_draw(const RequestOption& option);

/// Who asked for an option. What comes later goes before what comes earlier.
enum class Source : std::uint8_t {
  kCommandLine,
  kLine,    // JSON, and the config file
  kParams,  // the chat's /params, where of two the later one counts
};

/// The options that someone asked for, to be laid over defaults.
class RequestChanges {
 public:
  /// Who asks for what is set from now on; the command line until this is called.
  void begin(Source source) { source_ = source; }
  /// Sets an option from words: the last one counts, but a list takes all. Throws UsageError.
  void set_words(const RequestOption& option, std::span<const std::string> words);
  /// Sets an option from a JSON field. Throws UsageError.
  void set_field(const RequestOption& option, const nlohmann::json& value);
  /// The same, but false for a value that is not legal.
  bool try_field(const RequestOption& option, const nlohmann::json& value);
  /// `options` with the changes. Of two limits for one length the one asked for counts; of both,
  /// as in transformers, the number of new tokens.
  GenerateOptions laid_over(GenerateOptions options) const;
  /// The same for a person's wishes, which are all honoured or refused: defaults yield to them (to
  /// a temperature, say, greedy decoding and beam search), and two that cannot be honoured together
  /// are a UsageError. `options` are the model's defaults.
  GenerateOptions over(GenerateOptions options) const;
  /// The same while the model is not known; accepts what depends on its defaults.
  GenerateOptions tentative() const;
  /// Whether this option's member was set.
  bool has(const RequestOption& option) const;

 private:
  /// An option as it was asked for.
  struct Given {
    const RequestOption* row;
    Source source;
    bool on;            // its value asks for something: --top-p 1 does not
    std::string value;  // as it was written
  };
  /// For sentences: "--num-beams 3", "num_beams": 3.
  static std::string spelled(const Given& given);
  template <typename Value>
  bool take(const RequestOption& option, const Member<Value>& member, Value value,
            std::string written);
  const Given* last(std::string_view name) const;
  const Given* meant(std::string_view meaning) const;
  bool whole_counts(std::string_view of_new, std::string_view of_all) const;
  void refuse_conflicts() const;
  void refuse_two_limits(std::string_view of_new, std::string_view of_all) const;
  void fit_lengths(GenerateOptions& options) const;
  GenerateOptions combined(GenerateOptions options) const;
  void make_defaults_yield(GenerateOptions& options) const;

  Source source_ = Source::kCommandLine;
  std::vector<Given> given_;
  GenerateOptions values_;
};

}  // namespace aira
