// Small charts as SVG 1.1, readable without any library or network: lines, and bars of parts.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace convoy {

struct Line {
  std::string name;
  std::vector<std::pair<double, double>> points;
  bool dashed = false;  // for what is not measured: black, without marks
};

struct LineChart {
  std::string title, x_label, y_label;
  bool log2_x = false, log2_y = false;  // all numbers are positive there
  std::vector<Line> lines;
};

// Each bar has one number for each part, 0 or more.
struct BarChart {
  std::string title, y_label;
  std::vector<std::string> parts;
  std::vector<std::pair<std::string, std::vector<double>>> bars;
};

std::string svg(const LineChart& chart);
std::string svg(const BarChart& chart);

}  // namespace convoy
