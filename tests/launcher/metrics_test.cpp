// What Prometheus would read, over a real socket.
#include "launcher/metrics.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "core/base/error.h"
#include "launcher/evaluation.h"

namespace convoy {
namespace {

std::string get(int port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string reply;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
    char buffer[4096];
    for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;) reply.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return reply;
}

// The number behind the first line that begins with `series`.
double value(const std::string& text, const std::string& series) {
  const size_t at = text.find("\n" + series);
  if (at == std::string::npos) return -1;
  const size_t space = text.find("} ", at);
  return std::stod(text.substr(space + 2));
}

const MetricsOptions kOptions{.labels = {{"run_id", "tiny"}, {"rank", "1"}}};

TEST(Metrics, PublishesStepsAndEvaluations) {
  MetricsExporter exporter(kOptions);
  StepReport report;
  report.images = 96;
  report.loss = 0.5;
  report.learning_rate = 0.25F;
  report.step_seconds = 0.02;
  exporter.publish(report);
  exporter.publish(report);
  exporter.publish(Evaluation{.loss = 0.75, .correct = 500, .correct_top5 = {}, .images = 1000});
  EXPECT_EQ(value(get(exporter.port(), "/metrics"), "convoy_top5_accuracy_ratio"), -1);  // of few classes there is none
  exporter.publish(Evaluation{.loss = 0.75, .correct = 500, .correct_top5 = 750, .images = 1000});
  const std::string text = get(exporter.port(), "/metrics");
  EXPECT_NE(text.find("200 OK"), std::string::npos);
  EXPECT_NE(text.find("run_id=\"tiny\""), std::string::npos);
  EXPECT_NE(text.find("rank=\"1\""), std::string::npos);
  EXPECT_EQ(value(text, "convoy_steps_total"), 2);
  EXPECT_EQ(value(text, "convoy_learning_rate"), 0.25);
  EXPECT_EQ(value(text, "convoy_top5_accuracy_ratio"), 0.75);
  EXPECT_EQ(value(text, "convoy_step_duration_seconds_count"), 2);
  EXPECT_GT(value(text, "convoy_last_step_timestamp_seconds"), 1.7e9);
  for (const char* name : {"convoy_images_total", "convoy_loss", "convoy_accuracy_ratio"}) {
    EXPECT_NE(text.find(name), std::string::npos) << name;
  }
}

TEST(Metrics, OtherPathsAreNotFound) {
  const MetricsExporter exporter(kOptions);
  EXPECT_NE(get(exporter.port(), "/").find("404"), std::string::npos);
}

TEST(Metrics, PortInUseIsNamed) {
  const MetricsExporter first(kOptions);
  MetricsOptions same = kOptions;
  same.port = first.port();
  try {
    const MetricsExporter second(same);
    ADD_FAILURE() << "two exporters on one port";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUnavailable);
    EXPECT_NE(std::string(error.what()).find("127.0.0.1:" + std::to_string(same.port)), std::string::npos)
        << error.what();
    EXPECT_NE(std::string(error.what()).find("already in use; metrics.port=0"), std::string::npos) << error.what();
  }
}

TEST(Metrics, SaysWhyItCannotListen) {
  const auto failure = [](const std::string& host, int port) {
    MetricsOptions options = kOptions;
    options.host = host;
    options.port = port;
    try {
      const MetricsExporter exporter(options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("listens");
  };
  EXPECT_EQ(failure("192.0.2.1", 9600).substr(0, 61), "metrics: cannot listen on 192.0.2.1:9600: Cannot assign reque");
  EXPECT_EQ(failure("no.such.host.invalid", 9600).substr(0, 52),
            "metrics: cannot listen on no.such.host.invalid:9600:");
  EXPECT_EQ(failure("no.such.host.invalid", 9600).find("in use"), std::string::npos);
  EXPECT_EQ(failure("127.0.0.1", 65536), "metrics.port + local rank: expected at most 65535, found 65536");
}

}  // namespace
}  // namespace convoy
