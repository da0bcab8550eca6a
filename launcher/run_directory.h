// The directory of one experiment: runs/<name>/{config.yaml, log.jsonl, status.json, checkpoints/, lock}.  Rank 0 only.
//
// Each life of a run appends.  A finished run is not started again by mistake: that needs --fresh, a new name, or more
// epochs.  A lock keeps two trainers out of one directory.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/file.h"
#include "core/base/file_descriptor.h"

namespace convoy {

class RunDirectory {
 public:
  // Creates and locks the directory.  `fresh` first moves an existing one aside, to <name>.1, <name>.2, ….
  // Throws Error: kCannotCreate (not creatable, or locked by another process, whose pid it names), kPermission, kIo.
  RunDirectory(FileSystem& files, const std::string& output_dir, const std::string& name, bool fresh);

  const std::string& path() const { return path_; }
  std::string checkpoints() const { return path_ + "/checkpoints"; }
  std::string best() const { return path_ + "/best"; }  // has a checkpoint where one was asked for
  static std::string path_of(const std::string& output_dir, const std::string& name) { return output_dir + "/" + name; }
  static std::string checkpoints_of(const std::string& output_dir, const std::string& name) {
    return path_of(output_dir, name) + "/checkpoints";
  }

  // Throws Error(kCannotCreate) when an earlier life finished all of `total_steps`.  A damaged status.json is none.
  void require_unfinished(int64_t total_steps) const;
  bool finished() const;  // an earlier life did, perhaps before all steps were done
  void write_config(const std::string& yaml);
  // Phases are "training", "finished", "stopped", "unsaved" and "nonfinite"; a reason is for who asks why.
  void write_status(const std::string& phase, int64_t steps_done, const std::string& reason = "");
  void append_log(const std::string& json_line);  // log.jsonl

 private:
  FileSystem& files_;
  std::string path_;
  FileDescriptor lock_, log_;
};

}  // namespace convoy
