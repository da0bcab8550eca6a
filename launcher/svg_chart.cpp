#include "launcher/svg_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "core/base/error.h"

namespace convoy {
namespace {

constexpr double kWidth = 640, kHeight = 400, kLeft = 72, kRight = 16, kTop = 40, kBottom = 96;
// Okabe and Ito's, told apart by everyone.
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};

const char* colour(size_t i) { return kColours[i % std::size(kColours)]; }

std::string number(double value) {
  char text[64];
  if (std::abs(value) < 1000) {
    std::snprintf(text, sizeof text, "%.4g", value);
  } else {
    std::snprintf(text, sizeof text, "%.0f", value);
  }
  return text;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else {
      out += c;
    }
  }
  return out;
}

// Numbers that a reader can count with, over [low, high]: multiples of 1, 2 or 5 times a power of ten, or powers of
// two.
std::vector<double> ticks(double low, double high, bool log2) {
  std::vector<double> at;
  if (log2) {
    for (double it = std::exp2(std::floor(std::log2(low))); it <= 1.001 * std::exp2(std::ceil(std::log2(high)));
         it *= 2) {
      at.push_back(it);
    }
    return at;
  }
  const double rough = (high - low) / 5, power = std::pow(10, std::floor(std::log10(rough)));
  const double step = rough / power < 1.5   ? power
                      : rough / power < 3.5 ? 2 * power
                      : rough / power < 7.5 ? 5 * power
                                            : 10 * power;
  for (double it = std::floor(low / step); it * step <= high + 0.999 * step; ++it) at.push_back(it * step);
  return at;
}

struct Axis {
  double from, to;    // in the chart's units, of the ends
  double begin, end;  // in pixels
  bool log2 = false;

  double at(double value) const {
    const auto scaled = [this](double it) { return log2 ? std::log2(it) : it; };
    return begin + (end - begin) * (scaled(value) - scaled(from)) / (scaled(to) - scaled(from));
  }
};

class Canvas {
 public:
  Canvas(const std::string& title, const std::string& x_label, const std::string& y_label) {
    out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number(kWidth) + "\" height=\"" + number(kHeight) +
           "\" viewBox=\"0 0 " + number(kWidth) + " " + number(kHeight) +
           "\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
    text(kWidth / 2, 24, title, "middle", "font-size=\"15\"");
    text((kLeft + kWidth - kRight) / 2, kHeight - kBottom + 40, x_label, "middle");
    text(18, (kTop + kHeight - kBottom) / 2, y_label, "middle",
         "transform=\"rotate(-90 18 " + number((kTop + kHeight - kBottom) / 2) + ")\"");
  }
  void text(double x, double y, const std::string& what, const char* anchor, const std::string& more = "") {
    out_ += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\" " + more + ">" +
            escaped(what) + "</text>\n";
  }
  void line(double x1, double y1, double x2, double y2, const char* stroke) {
    out_ += "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) +
            "\" stroke=\"" + stroke + "\"/>\n";
  }
  void rectangle(double x, double y, double width, double height, const char* fill) {
    out_ += "<rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" + number(width) + "\" height=\"" +
            number(height) + "\" fill=\"" + fill + "\"/>\n";
  }
  void curve(const Line& line, const Axis& x, const Axis& y, const char* stroke) {
    out_ += "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"" + std::string(stroke) + "\"" +
            (line.dashed ? " stroke-dasharray=\"6 4\"" : "") + " points=\"";
    for (const auto& [at, value] : line.points) out_ += number(x.at(at)) + "," + number(y.at(value)) + " ";
    out_ += "\"/>\n";
    if (line.dashed) return;
    for (const auto& [at, value] : line.points) {
      out_ += "<circle r=\"3.5\" cx=\"" + number(x.at(at)) + "\" cy=\"" + number(y.at(value)) + "\" fill=\"" + stroke +
              "\"/>\n";
    }
  }
  void y_ticks(const std::vector<double>& values, const Axis& y) {
    for (const double it : values) {
      line(kLeft, y.at(it), kWidth - kRight, y.at(it), "#dddddd");
      text(kLeft - 8, y.at(it) + 4, number(it), "end");
    }
  }
  void legend(const std::vector<std::pair<std::string, const char*>>& names) {
    double x = kLeft, y = kHeight - kBottom + 64;
    for (const auto& [name, fill] : names) {
      const double width = 30 + 7 * static_cast<double>(name.size());
      if (x > kLeft && x + width > kWidth - kRight) x = kLeft, y += 18;
      rectangle(x, y - 9, 12, 12, fill);
      text(x + 17, y + 1, name, "start");
      x += width;
    }
  }
  std::string finish() { return out_ + "</svg>\n"; }

 private:
  std::string out_;
};

}  // namespace

std::string svg(const LineChart& chart) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double left = kInfinity, right = -kInfinity, low = chart.log2_y ? kInfinity : 0, high = -kInfinity;
  std::vector<double> at;
  for (const Line& line : chart.lines) {
    for (const auto& [x, y] : line.points) {
      at.push_back(x);
      left = std::min(left, x), right = std::max(right, x), low = std::min(low, y), high = std::max(high, y);
    }
  }
  CHECK(!at.empty() && high > 0, "a chart without points");
  std::ranges::sort(at);
  at.erase(std::ranges::unique(at).begin(), at.end());
  if (left == right) left *= 0.5, right *= 2;
  const std::vector<double> marks = ticks(low, high, chart.log2_y);
  const Axis x{left, right, kLeft + 16, kWidth - kRight - 16, chart.log2_x};
  const double last = marks.size() > 1 ? marks.back() : 2 * marks.front();
  const Axis y{marks.front(), last, kHeight - kBottom, kTop, chart.log2_y};
  Canvas canvas(chart.title, chart.x_label, chart.y_label);
  canvas.y_ticks(marks, y);
  for (const double it : at) {  // the numbers that were measured
    canvas.line(x.at(it), kHeight - kBottom, x.at(it), kHeight - kBottom + 5, "#000000");
    canvas.text(x.at(it), kHeight - kBottom + 20, number(it), "middle");
  }
  canvas.line(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "#000000");
  std::vector<std::pair<std::string, const char*>> names;
  size_t measured = 0;
  for (const Line& line : chart.lines) {
    names.emplace_back(line.name, line.dashed ? "#000000" : colour(measured++));
    canvas.curve(line, x, y, names.back().second);
  }
  canvas.legend(names);
  return canvas.finish();
}

std::string svg(const BarChart& chart) {
  double high = 0;
  for (const auto& [name, parts] : chart.bars) {
    CHECK(parts.size() == chart.parts.size());
    double sum = 0;
    for (const double part : parts) sum += part;
    high = std::max(high, sum);
  }
  CHECK(high > 0, "a chart without bars");
  const std::vector<double> marks = ticks(0, high, false);
  const Axis y{0, marks.back(), kHeight - kBottom, kTop};
  Canvas canvas(chart.title, "", chart.y_label);
  canvas.y_ticks(marks, y);
  const double room = (kWidth - kLeft - kRight) / static_cast<double>(chart.bars.size()),
               width = std::min(0.6 * room, 80.0);
  for (size_t i = 0; i < chart.bars.size(); ++i) {
    const auto& [name, parts] = chart.bars[i];
    const double middle = kLeft + (static_cast<double>(i) + 0.5) * room;
    double below = 0;
    for (size_t part = 0; part < parts.size(); ++part) {
      const double top = below + parts[part];
      canvas.rectangle(middle - width / 2, y.at(top), width, y.at(below) - y.at(top), colour(part));
      below = top;
    }
    const double below_axis = kHeight - kBottom + (i % 2 == 0 ? 18 : 34);  // so that neighbours have room
    canvas.text(middle, below_axis, name, "middle");
  }
  canvas.line(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "#000000");
  std::vector<std::pair<std::string, const char*>> names;
  for (const std::string& part : chart.parts) names.emplace_back(part, colour(names.size()));
  canvas.legend(names);
  return canvas.finish();
}

}  // namespace convoy
