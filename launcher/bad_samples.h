// Samples that could not be read and were passed over: named in the log, kept in bad_samples.jsonl, counted.
//
// A line of the file: {"split": "train", "sample": 7, "replacement": 8, "rank": 0, "reason": "a.jpg: …"}.  All ranks of
// a run append to one file; each tells what it met itself.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/file_descriptor.h"
#include "core/base/log.h"
#include "core/data/skip_bad.h"

namespace convoy {

class BadSamples {
 public:
  // `rank` is for the file; the log has its own.
  BadSamples(const Log& log, int rank) : log_(log), rank_(rank) {}
  ~BadSamples();  // flushes

  // Keeps what it is told until flush(); any thread may call it.  This must outlive it.
  SkipBad::Report reporter(Split split);

  // From now on flush() appends to this file too.  Throws Error(kCannotCreate).
  void open(const std::string& path);

  // The thread that owns the terminal calls this now and then.
  void flush();
  size_t waiting() const;  // for flush()
  int64_t count() const;   // told so far

 private:
  struct Entry {
    Split split;
    BadSample bad;
  };
  const Log log_;
  const int rank_;
  FileDescriptor file_;
  mutable std::mutex mutex_;
  std::vector<Entry> waiting_;  // guarded by mutex_
  int64_t count_ = 0;           // guarded by mutex_
};

}  // namespace convoy
