// What one global step did: the same numbers on every rank, for the log, the progress line and the metrics.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

namespace convoy {

// What communication cost one step, on this rank.  Exposed and busy are two views of it, never to be summed.
struct Communication {
  struct Bucket {
    int64_t bytes = 0;
    double exposed_seconds = 0, busy_seconds = 0;
  };
  double exposed_seconds = 0;   // compute waited for it: what overlap did not hide
  double busy_seconds = 0;      // see Communicator; on a device that runs ahead from a collective's turn to its end
  int64_t bytes = 0;            // of all tensors that ranks exchanged
  std::vector<Bucket> buckets;  // of the gradients, in the order in which they leave
};

// [{"bytes", "exposed_seconds", "busy_seconds"}, …]
inline nlohmann::json to_json(const std::vector<Communication::Bucket>& buckets) {
  nlohmann::json result = nlohmann::json::array();
  for (const auto& [bytes, exposed, busy] : buckets) {
    result.push_back({{"bytes", bytes}, {"exposed_seconds", exposed}, {"busy_seconds", busy}});
  }
  return result;
}

struct StepReport {
  int64_t step = 0;   // finished steps, 1 after the first
  int64_t steps = 0;  // of the whole run
  int epoch = 0;      // from 0
  double loss = 0;    // mean over the valid rows of the global batch
  double accuracy = 0;
  std::optional<double> gradient_norm;  // before clipping; where gradients are clipped to a norm
  int64_t images = 0;                   // valid rows of the global batch
  float learning_rate = 0;
  double step_seconds = 0;
  double data_wait_seconds = 0;  // waiting for the loader
  int ready_batches = 0;         // micro-batches that were decoded when the last one was asked for
  int loader_threads = 0;
  int64_t bad_samples = 0;  // that this rank passed over, since the start
  Communication communication;
  bool nonfinite = false;       // loss or gradient was NaN or infinite; the update was skipped on all ranks
  bool overflow = false;        // f16: gradients were too large; skipped likewise, the loss scale is halved
  bool stop_requested = false;  // some rank was asked to save and stop …
  bool interrupted = false;     // … by SIGINT
  bool save_requested = false;  // some rank was asked to save and go on
};

}  // namespace convoy
