// A chart of bars as an SVG file, in light and dark colours.
#pragma once

#include <string>
#include <vector>

namespace aira {

struct Bar {
  std::string label;
  double value;
  double lowest, highest;  // of what `value` is the middle of
};

struct Chart {
  std::string title, subtitle;
  std::string axis;  // what the values are, with their unit
  std::vector<Bar> bars;
};

/// Throws Error when a chart cannot be written there: not an .svg, or no folder to write to.
void check_plot(const std::string& path);
/// Writes the chart under another name first, so that `path` is whole or what it was. Throws Error.
void write_plot(const Chart& chart, const std::string& path);

}  // namespace aira
