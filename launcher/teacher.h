// The network that a distilled one learns from: frozen, in inference mode, on the images of the training as they are
// augmented and mixed ("consistent teaching": Beyer et al. 2022, arXiv:2106.05237).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/graph/plan.h"
#include "launcher/config/experiment.h"
#include "launcher/exchange/network.h"
#include "launcher/inference.h"

namespace convoy {

// Throws Error as read_model_file().
ForeignModel read_teacher(const TeacherConfig& config, const Hdf5Options& hdf5);

class Teacher {
 public:
  // `images` [rows,H,W,C] are a micro-batch of the training.  The backend must outlive it.
  // Throws Error(kConfig) where the network in `file` is not known, has other classes or takes other images; kBadData.
  Teacher(const TeacherConfig& config, const ForeignModel& file, int classes, const Shape& images, Backend& backend);

  // In front of a pass: it looks at u8 `pixels` [rows,H,W,C] and writes f32 `logits` [rows,classes], both of the
  // device.
  void prepend_to(Plan& plan, const void* pixels, float* logits) const;

  int64_t bytes() const { return network_->bytes(); }
  const std::string& text() const { return text_; }  // for people: from which file, what it counts
  const std::vector<std::string>& class_names() const { return class_names_; }  // none: the file does not say them
  const std::string& fingerprint() const { return fingerprint_; }               // of network, weights and preprocessing

 private:
  Backend& backend_;
  std::unique_ptr<Inference> network_;
  std::vector<std::string> class_names_;
  std::string text_, fingerprint_;
};

}  // namespace convoy
