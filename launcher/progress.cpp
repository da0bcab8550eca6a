#include "launcher/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace convoy {
namespace {

int terminal_width() {
  winsize size{};
  return isatty(STDOUT_FILENO) != 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

std::string duration(double seconds) {
  const auto whole = static_cast<long>(std::max(seconds, 0.0) + 0.5);
  char text[32];
  if (whole < 3600) {
    std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  }
  return text;
}

std::string bar(double done, int width) {
  const int full = static_cast<int>(done * width + 0.5);
  std::string text;
  for (int i = 0; i < width; ++i) text += i < full ? "━" : "╌";
  return text;
}

}  // namespace

Progress::Style Progress::detect_style() { return terminal_width() > 0 ? Style::kBar : Style::kPlain; }

Progress::Progress(Style style, int64_t every_steps, double every_seconds, int world)
    : style_(style), every_steps_(every_steps), every_seconds_(every_seconds), world_(world) {}

std::string Progress::text(const StepReport& report, double seconds) const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - begin_).count();
  const auto steps_done = static_cast<double>(report.step - first_step_);
  const double left = steps_done > 0 ? elapsed / steps_done * static_cast<double>(report.steps - report.step) : 0;
  const double rate = static_cast<double>(since_.images) / seconds;
  char communication[32] = "";
  if (world_ > 1) std::snprintf(communication, sizeof communication, " comm %.1f%%", 100 * since_.exposed / seconds);
  char text[256];
  std::snprintf(text, sizeof text,
                "epoch %d  step %lld/%lld  loss %.4f  top-1 %.1f%%  lr %.4g  %.0f img/s (%.0f per rank)  wait: data "
                "%.1f%%%s  eta %s",
                report.epoch + 1, static_cast<long long>(report.step), static_cast<long long>(report.steps),
                report.loss, 100 * report.accuracy, static_cast<double>(report.learning_rate), rate, rate / world_,
                100 * since_.data_wait / seconds, communication, duration(left).c_str());
  return text;
}

void Progress::step(const StepReport& report) {
  if (first_step_ < 0) first_step_ = report.step - 1;
  images_ += report.images;
  if (style_ == Style::kNone) return;
  since_.images += report.images;
  since_.data_wait += report.data_wait_seconds;
  since_.exposed += report.communication.exposed_seconds;
  const Clock::time_point now = Clock::now();
  const double seconds = std::max(std::chrono::duration<double>(now - last_draw_).count(), 1e-9);
  const bool last = report.step == report.steps;
  const bool due = style_ == Style::kBar ? seconds >= 0.1
                                         : seconds >= every_seconds_ || report.step - last_step_drawn_ >= every_steps_;
  if (!due && !last) return;
  const std::string drawn = text(report, seconds);
  last_draw_ = now;
  last_step_drawn_ = report.step;
  since_ = {};
  if (style_ == Style::kPlain) return line(drawn);
  const double done = static_cast<double>(report.step) / static_cast<double>(std::max<int64_t>(report.steps, 1));
  draw(bar(done, 20) + " " + drawn);
}

// One write() per line, so that lines of several ranks never mix.
void Progress::draw(const std::string& line) {
  const int width = std::max(terminal_width(), 40);
  std::string shown;
  int columns = 0;
  for (char c : line) {  // cut at the width, counting UTF-8 characters once
    const bool begins = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (begins && ++columns >= width) break;
    shown += c;
  }
  const std::string out = "\r\033[K" + shown;
  [[maybe_unused]] const auto written = write(STDOUT_FILENO, out.data(), out.size());
  bar_on_screen_ = true;
}

void Progress::line(const std::string& text) {
  if (style_ == Style::kNone) return;
  const std::string out = (bar_on_screen_ ? "\r\033[K" : "") + text + "\n";
  [[maybe_unused]] const auto written = write(STDOUT_FILENO, out.data(), out.size());
  bar_on_screen_ = false;
}

void Progress::finish() {
  if (!bar_on_screen_) return;
  [[maybe_unused]] const auto written = write(STDOUT_FILENO, "\n", 1);
  bar_on_screen_ = false;
}

double Progress::images_per_second() const {
  return static_cast<double>(images_) / std::max(std::chrono::duration<double>(Clock::now() - begin_).count(), 1e-9);
}

}  // namespace convoy
