#include "launcher/metrics.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <system_error>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "core/base/error.h"
#include "core/base/file_descriptor.h"
#include "launcher/evaluation.h"

namespace convoy {
namespace {

// 1 ms to 60 s, each about 1.6 times the one before.
prometheus::Histogram::BucketBoundaries step_seconds_buckets() {
  prometheus::Histogram::BucketBoundaries buckets;
  for (double bound = 0.001; bound < 60; bound *= 1.6) buckets.push_back(bound);
  buckets.push_back(60);
  return buckets;
}

// Why `address` cannot be listened on: the library behind the exporter does not say.
std::string obstacle(const MetricsOptions& options) {
  addrinfo wanted{}, *found = nullptr;
  wanted.ai_family = AF_INET;
  wanted.ai_socktype = SOCK_STREAM;
  const int error = getaddrinfo(options.host.c_str(), std::to_string(options.port).c_str(), &wanted, &found);
  if (error != 0) return gai_strerror(error);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> address(found, &freeaddrinfo);
  const FileDescriptor probe(socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0));
  if (probe.get() >= 0 && bind(probe.get(), address->ai_addr, address->ai_addrlen) == 0) return "";
  const int failed = errno;
  return std::generic_category().message(failed) + (failed == EADDRINUSE ? "; metrics.port=0 takes any free port" : "");
}

// Many threads and a short time-out: half-open connections must not keep a scrape waiting.
std::unique_ptr<prometheus::Exposer> listen(const MetricsOptions& options) {
  if (options.port > 65535) {
    throw Error(ExitCode::kConfig,
                "metrics.port + local rank: expected at most 65535, found " + std::to_string(options.port));
  }
  const std::string address = options.host + ":" + std::to_string(options.port);
  try {
    return std::make_unique<prometheus::Exposer>(std::vector<std::string>{
        "listening_ports", address, "num_threads", "96", "request_timeout_ms", "1000", "connection_queue", "128"});
  } catch (const std::exception& error) {
    const std::string why = obstacle(options);
    throw Error(ExitCode::kUnavailable,
                "metrics: cannot listen on " + address + ": " + (why.empty() ? error.what() : why));
  }
}

}  // namespace

struct MetricsExporter::Series {
  explicit Series(const MetricsOptions& options)
      : labels(options.labels), registry(std::make_shared<prometheus::Registry>()), exposer(listen(options)) {
    exposer->RegisterCollectable(registry);
  }

  prometheus::Counter& counter(const std::string& name, const std::string& help,
                               const std::map<std::string, std::string>& own = {}) {
    return prometheus::BuildCounter().Name(name).Help(help).Labels(labels).Register(*registry).Add(own);
  }
  prometheus::Gauge& gauge(const std::string& name, const std::string& help,
                           const std::map<std::string, std::string>& own = {}) {
    return prometheus::BuildGauge().Name(name).Help(help).Labels(labels).Register(*registry).Add(own);
  }

  void publish(const Communication& it) {
    exposed.Increment(it.exposed_seconds);
    busy.Increment(it.busy_seconds);
    exchanged.Increment(static_cast<double>(it.bytes));
    for (size_t i = buckets.size(); i < it.buckets.size(); ++i) {
      const std::map<std::string, std::string> own{{"bucket", std::to_string(i)}};
      buckets.emplace_back(&counter("convoy_bucket_exposed_seconds_total", "Time compute waited for a bucket", own),
                           &counter("convoy_bucket_busy_seconds_total", "Time spent on a bucket", own));
    }
    for (size_t i = 0; i < it.buckets.size(); ++i) {
      buckets[i].first->Increment(it.buckets[i].exposed_seconds);
      buckets[i].second->Increment(it.buckets[i].busy_seconds);
    }
  }

  const std::map<std::string, std::string> labels;
  std::shared_ptr<prometheus::Registry> registry;  // prometheus-cpp's interface asks for it
  std::unique_ptr<prometheus::Exposer> exposer;

  prometheus::Counter& images = counter("convoy_images_total", "Images of the global batches", {{"split", "train"}});
  prometheus::Counter& test_images =
      counter("convoy_images_total", "Images of the global batches", {{"split", "test"}});
  prometheus::Counter& steps = counter("convoy_steps_total", "Optimizer updates");
  prometheus::Counter& nonfinite =
      counter("convoy_nonfinite_steps_total", "Steps skipped because a loss or gradient was not finite");
  prometheus::Counter& data_wait = counter("convoy_data_wait_seconds_total", "Time spent waiting for the loader");
  prometheus::Gauge& ready_batches =
      gauge("convoy_loader_queue_depth", "Micro-batches that were decoded when the last one was asked for");
  prometheus::Gauge& loader_threads = gauge("convoy_loader_threads", "Threads of this rank that decode");
  prometheus::Gauge& bad_samples =
      gauge("convoy_bad_samples", "Different samples that this rank could not read and passed over");
  prometheus::Counter& exposed =
      counter("convoy_communication_exposed_seconds_total", "Time compute waited for communication");
  prometheus::Counter& busy =
      counter("convoy_communication_busy_seconds_total", "Time spent on communication, hidden or not");
  prometheus::Counter& exchanged =
      counter("convoy_communication_bytes_total", "Bytes of the tensors that ranks exchanged");
  std::vector<std::pair<prometheus::Counter*, prometheus::Counter*>> buckets;  // exposed, busy
  prometheus::Gauge& loss = gauge("convoy_loss", "Mean loss of the last step or evaluation", {{"split", "train"}});
  prometheus::Gauge& test_loss = gauge("convoy_loss", "Mean loss of the last step or evaluation", {{"split", "test"}});
  prometheus::Gauge& accuracy =
      gauge("convoy_accuracy_ratio", "Correct images of the last step or evaluation", {{"split", "train"}});
  prometheus::Gauge& test_accuracy =
      gauge("convoy_accuracy_ratio", "Correct images of the last step or evaluation", {{"split", "test"}});
  prometheus::Gauge& learning_rate = gauge("convoy_learning_rate", "Learning rate of the last step");
  prometheus::Gauge& epoch = gauge("convoy_epoch", "Epoch of the last step, from 0");
  prometheus::Gauge& last_step =
      gauge("convoy_last_step_timestamp_seconds", "When the last step ended, seconds since 1970");
  prometheus::Histogram& step_seconds = prometheus::BuildHistogram()
                                            .Name("convoy_step_duration_seconds")
                                            .Help("Duration of a training step")
                                            .Labels(labels)
                                            .Register(*registry)
                                            .Add({}, step_seconds_buckets());
};

MetricsExporter::MetricsExporter(const MetricsOptions& options) : series_(std::make_unique<Series>(options)) {}
MetricsExporter::~MetricsExporter() = default;

int MetricsExporter::port() const { return series_->exposer->GetListeningPorts().at(0); }

void MetricsExporter::publish(const StepReport& report) {
  Series& to = *series_;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  to.images.Increment(static_cast<double>(report.images));
  to.steps.Increment();
  if (report.nonfinite) to.nonfinite.Increment();
  to.data_wait.Increment(report.data_wait_seconds);
  to.ready_batches.Set(report.ready_batches);
  to.loader_threads.Set(report.loader_threads);
  to.bad_samples.Set(static_cast<double>(report.bad_samples));
  to.publish(report.communication);
  to.loss.Set(report.loss);
  to.accuracy.Set(report.accuracy);
  to.learning_rate.Set(report.learning_rate);
  to.epoch.Set(report.epoch);
  to.step_seconds.Observe(report.step_seconds);
  to.last_step.Set(std::chrono::duration<double>(now).count());
}

void MetricsExporter::publish(const Evaluation& evaluation) {
  Series& to = *series_;
  to.test_loss.Set(evaluation.loss);
  to.test_accuracy.Set(evaluation.accuracy());
  to.test_images.Increment(static_cast<double>(evaluation.images));
  if (evaluation.correct_top5) {
    to.gauge("convoy_top5_accuracy_ratio", "Images of the last evaluation whose class is among the five likeliest",
             {{"split", "test"}})
        .Set(evaluation.share(*evaluation.correct_top5));
  }
}

}  // namespace convoy
