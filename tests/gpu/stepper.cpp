#include "tests/gpu/stepper.h"

namespace convoy {

Stepper::Stepper(const Experiment& experiment, const Change& change, const LossScaleOptions& loss_scale)
    : backend_(make_backend(experiment, *host_, 1)) {
  if (change) change(backend_, *host_);
  data_ = open_datasets(experiment.data, experiment.experiment.seed, bad_samples_).train;
  const ResolvedBatch batch = resolve(experiment.batch, 1);
  Model model = build_model(experiment, data_->sample(), batch.micro);
  const ReplicaOptions options =
      replica_options(experiment, {{.batch = batch, .sample = data_->sample()}}, model.graph, backend_, 0, 1);
  replica_.emplace(std::move(model), backend_, options);
  replica_->initialize(experiment.experiment.seed, loss_scale);
  optimizer_ = make_optimizer(experiment.optimizer, backend_, replica_->graph(), replica_->parameters(),
                              backend_.device->allocator());
  replica_->add_update(*optimizer_);

  const int64_t bytes = data_->sample().elements();
  pixels_ = Buffer(backend_.device->host_allocator(), batch.micro * bytes);
  targets_ = Buffer(backend_.device->host_allocator(), batch.micro * int64_t{sizeof(Target)});
  for (int row = 0; row < batch.micro; ++row) {
    targets_.as<Target>()[row] = Target::of(data_->read(row, 0, pixels_.as<uint8_t>() + row * bytes));
  }
  StepScalars& scalars = replica_->scalars();
  scalars.learning_rate = static_cast<float>(experiment.optimizer.learning_rate.of(batch.global));
  scalars.valid_rows = batch.micro;
  scalars.one_over_global_rows = 1.0F / static_cast<float>(batch.micro);
  scalars.seed = experiment.experiment.seed;
}

void Stepper::give_step() {
  replica_->wait_until_read();
  replica_->load({pixels_.as<uint8_t>(), static_cast<size_t>(pixels_.bytes())},
                 {targets_.as<Target>(), static_cast<size_t>(replica_->rows())});
  replica_->run({.first = true, .last = true});
  ++replica_->scalars().step;
}

double Stepper::step() {
  give_step();
  replica_->fetch_control();
  const float* control = replica_->take_control();
  control_.assign(control, control + kControlSize);
  return static_cast<double>(control_[kLossSum]) / static_cast<double>(control_[kValidRows]);
}

bool Stepper::skipped() const { return control_[kOverflow] > 0; }

float Stepper::loss_scale() {
  LossScale scale;
  download(&scale, replica_->parameters().loss_scale(), sizeof scale);
  return scale.scale;
}

std::vector<std::vector<float>> Stepper::fetch(Tensor (Parameters::*tensor)(const ParameterSlot&) const) {
  std::vector<std::vector<float>> result;
  for (const ParameterSlot& slot : replica_->parameters().slots()) {
    const Tensor found = (replica_->parameters().*tensor)(slot);
    download(result.emplace_back(static_cast<size_t>(slot.elements())).data(), found.data, found.type.bytes());
  }
  return result;
}

void Stepper::download(void* to, const void* from, int64_t bytes) {
  Device& device = *backend_.device;
  device.copy(to, from, bytes, device.compute());
  device.compute().synchronize();
}

}  // namespace convoy
