// The live progress line of rank 0: a bar redrawn in place on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "launcher/step_report.h"

namespace convoy {

class Progress {
 public:
  enum class Style : uint8_t { kNone, kPlain, kBar };
  // What fits standard output.  Under mpirun isatty(1) is always true (ranks get a pty), so a terminal is one that also
  // has a width.
  static Style detect_style();

  // Plain lines appear every `every_steps` steps or `every_seconds`, whichever comes first; a bar at most 10 times a
  // second.
  Progress(Style style, int64_t every_steps, double every_seconds, int world);

  void step(const StepReport& report);
  // Prints a whole line, above the bar where there is one.
  void line(const std::string& text);
  // Ends the bar's line.  Call before anything else prints.
  void finish();

  // Images per second of all ranks since the run began, evaluation and saving included.
  double images_per_second() const;

 private:
  using Clock = std::chrono::steady_clock;
  // `seconds`: since the last line.
  std::string text(const StepReport& report, double seconds) const;
  void draw(const std::string& line);

  Style style_;
  int64_t every_steps_;
  double every_seconds_;
  int world_;
  Clock::time_point begin_ = Clock::now(), last_draw_ = begin_;
  int64_t images_ = 0, first_step_ = -1, last_step_drawn_ = 0;
  struct Since {
    int64_t images = 0;
    double data_wait = 0, exposed = 0;  // seconds
  };
  Since since_;  // the last line
  bool bar_on_screen_ = false;
};

}  // namespace convoy
