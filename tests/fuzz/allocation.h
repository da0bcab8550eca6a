// What operator new gives out, counted: so that a size that a file merely claims is found before it is believed.
// Linking allocation.cpp replaces operator new and delete in the whole program.  Memory that a C library takes by
// malloc() is not counted.
#pragma once

#include <cstdint>

namespace convoy {

// From here on, of all threads: more than `most` bytes at a time, beyond what is held now, ends the program with a
// message and a stack that leads to the allocation.  One at a time.
class AllocationLimit {
 public:
  explicit AllocationLimit(int64_t most);
  AllocationLimit(const AllocationLimit&) = delete;
  AllocationLimit& operator=(const AllocationLimit&) = delete;
  ~AllocationLimit();
  int64_t peak_bytes() const;  // the most so far

 private:
  const int64_t before_;
};

int64_t allocated_bytes();  // now

}  // namespace convoy
