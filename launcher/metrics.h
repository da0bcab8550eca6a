// The Prometheus endpoint of one rank: http://HOST:PORT/metrics.  The only door to prometheus-cpp.
//
// Names and units follow docs/metrics.md; every series carries the constant labels run_id, rank, local_rank and node.
// publish() and the setters may be called while a scrape is served.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "launcher/step_report.h"

namespace convoy {

struct Evaluation;  // launcher/evaluation.h

struct MetricsOptions {
  std::string host = "127.0.0.1";
  int port = 0;                               // 0: any free one
  std::map<std::string, std::string> labels;  // on every series
};

class MetricsExporter {
 public:
  // Throws Error(kUnavailable) naming the address and why it cannot be listened on, kConfig for a port above 65535.
  explicit MetricsExporter(const MetricsOptions& options);
  ~MetricsExporter();

  int port() const;  // the one listened on
  // Adds one training step.
  void publish(const StepReport& report);
  void publish(const Evaluation& evaluation);

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace convoy
