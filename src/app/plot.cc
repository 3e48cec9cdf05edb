// The look is that of tools/docs/speed_chart.py. Coordinates are whole numbers, written alike in
// every language.
#include "app/plot.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "aira/error.h"
#include "base/printable.h"
#include "base/utf8.h"

namespace aira {
namespace {

namespace fs = std::filesystem;

constexpr int kWidth = 720, kTop = 64, kBar = 16, kPitch = 26, kRight = 70, kMargin = 20;
constexpr int kLetter = 7;  // about the width of one

constexpr const char* kStyle = R"(<style>
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 } .soft { fill: #59636e; font-size: 12px }
.card { fill: #ffffff; stroke: #d1d9e0 } .bar { fill: #0b7a4b } .range { stroke: #1f2328 }
.grid { stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .soft { fill: #9198a1 } .card { fill: #151b23; stroke: #3d444d }
  .bar { fill: #3fb97f } .range { stroke: #f0f6fc } .grid { stroke: #3d444d }
}
</style>
)";

/// Digits enough to compare, without a decimal point that depends on the language.
std::string number(double value) {
  return value == 0 || value >= 10 ? std::to_string(std::lround(value))
                                   : std::to_string(std::lround(value * 10) / 10) + "." +
                                         std::to_string(std::lround(value * 10) % 10);
}

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char letter : printable(text)) {
    const std::string_view as = letter == '&' ? "&amp;" : letter == '<' ? "&lt;" : "";
    as.empty() ? safe += letter : safe += as;
  }
  return safe;
}

/// NAME="VALUE" with a blank before it.
std::string attribute(const char* name, std::int64_t value) {
  return std::string(" ").append(name) + "=\"" + std::to_string(value) + "\"";
}

std::string text_at(std::int64_t x, std::int64_t y, const std::string& text,
                    const std::string& how = "") {
  return "<text" + attribute("x", x) + attribute("y", y) + how + ">" + escaped(text) + "</text>\n";
}

std::string line(std::int64_t x1, std::int64_t y1, std::int64_t x2, std::int64_t y2,
                 const std::string& kind) {
  return "<line" + attribute("x1", x1) + attribute("y1", y1) + attribute("x2", x2) +
         attribute("y2", y2) + kind + "/>\n";
}

/// The distance between round numbers of which up to six lie below `highest`.
double step_below(double highest) {
  const double rough = highest / 6;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1, 2, 5}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

std::string svg_of(const Chart& chart) {
  double highest = 0;
  std::int64_t letters = 0;
  for (const Bar& bar : chart.bars) {
    highest = std::max(highest, bar.highest);
    std::int64_t count = 0;
    for (std::size_t at = 0; at < bar.label.size(); ++count) next_code_point(bar.label, at);
    letters = std::max(letters, count);
  }
  const std::int64_t left = 2 * kMargin + letters * kLetter;
  const double scale = static_cast<double>(kWidth - kRight - left) / highest;
  const auto x_of = [&](double value) { return left + std::lround(value * scale); };
  const std::int64_t bottom = kTop + std::ssize(chart.bars) * kPitch;
  const std::int64_t height = bottom + 50;
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"" + attribute("width", kWidth) +
                    attribute("height", height) + ">\n" + kStyle + "<rect" + attribute("x", 1) +
                    attribute("y", 1) + attribute("width", kWidth - 2) +
                    attribute("height", height - 2) + " rx=\"6\" class=\"card\"/>\n" +
                    text_at(kMargin, 30, chart.title, " class=\"title\"") +
                    text_at(kMargin, 48, chart.subtitle, " class=\"soft\"");
  const double step = step_below(highest);
  for (double tick = 0; tick <= highest; tick += step) {
    svg += line(x_of(tick), kTop - 4, x_of(tick), bottom, " class=\"grid\"");
    svg += text_at(x_of(tick), bottom + 16, number(tick), " class=\"soft\" text-anchor=\"middle\"");
  }
  svg += text_at((left + kWidth - kRight) / 2, bottom + 36, chart.axis,
                 " class=\"soft\" text-anchor=\"middle\"");
  std::int64_t y = kTop;
  for (const Bar& bar : chart.bars) {
    svg += text_at(left - 8, y + kBar - 4, bar.label, " text-anchor=\"end\"");
    svg += "<rect" + attribute("x", left) + attribute("y", y) +
           attribute("width", x_of(bar.value) - left) + attribute("height", kBar) +
           " class=\"bar\"/>\n";
    svg +=
        line(x_of(bar.lowest), y + kBar / 2, x_of(bar.highest), y + kBar / 2, " class=\"range\"");
    svg += text_at(x_of(bar.highest) + 6, y + kBar - 4, number(bar.value));
    y += kPitch;
  }
  return svg + "</svg>\n";
}

}  // namespace

void check_plot(const std::string& path) {
  const fs::path file(path);
  if (file.extension() != ".svg") {
    throw UsageError("[E280] {} draws an SVG, so the name of its file must end in {}, not {}.",
                     {"--plot", ".svg", quote(path)});
  }
  const fs::path folder = file.has_parent_path() ? file.parent_path() : ".";
  std::error_code problem;
  const bool other = fs::exists(file, problem) && !fs::is_regular_file(file, problem);
  if (other || ::access(folder.c_str(), W_OK) != 0) {
    throw Error("[E281] The chart cannot be written to {}: {}.",
                {quote(path), std::generic_category().message(other ? EEXIST : errno)});
  }
}

void write_plot(const Chart& chart, const std::string& path) {
  const std::string unfinished = path + ".unfinished";
  std::ofstream file(unfinished, std::ios::binary);
  file << svg_of(chart);
  file.close();
  if (file && ::rename(unfinished.c_str(), path.c_str()) == 0) return;
  const int problem = errno;
  ::unlink(unfinished.c_str());
  throw Error("[E282] Writing the chart to {} failed: {}.",
              {quote(path), std::generic_category().message(problem)});
}

}  // namespace aira
