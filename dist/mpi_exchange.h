// Collectives among processes that share no memory, as direct messages between every two of them; for dist/mpi*.cpp
// only.
//
// Each rank owns one part of a tensor.  For a sum, every rank sends every other the part which that one owns, and adds
// what it gets in the order of ranks; then it sends its part of the sum to all.  That is as many bytes as in a ring,
// 2(p-1)/p of the tensor, in 2 steps instead of 2(p-1), and, unlike there, no bit of the sum depends on how a tensor
// was cut into buckets; bf16 is rounded once.  (Pairwise exchange, then an all-gather: Thakur, Rabenseifner and Gropp,
// "Optimization of Collective Communication Operations in MPICH", 2005.)  Two ranks, and any number where the tensor is
// small, send each other all of it: one step.
// Large tensors go piece by piece, with several under way: one is added while others travel.
#pragma once

#include <mpi.h>

#include <algorithm>
#include <span>
#include <stop_token>
#include <vector>

#include "core/base/element_range.h"
#include "core/device/types.h"
#include "dist/mpi_handles.h"

namespace convoy {

// Used by one thread at a time.  All ranks of `comm` call the same functions in the same order with the same sizes.
// What is called returns when this rank's share is done, or, with false, when `stop` was requested while it waited for
// peers: then the memory of the tensor is still in use, and the ranks' work together is over.
class MpiExchange {
 public:
  explicit MpiExchange(MPI_Comm comm)
      : comm_(MpiComm::duplicate(comm)),
        rank_(comm_.rank()),
        size_(comm_.size()),
        slots_(std::max(4, 32 / std::max(size_ - 1, 1))) {}

  int rank() const { return rank_; }
  int size() const { return size_; }

  [[nodiscard]] bool all_reduce(const Tensor& inout, const std::stop_token& stop);
  // `parts` of the tensor, by rank; they may be empty.
  [[nodiscard]] bool reduce_scatter(const Tensor& inout, std::span<const ElementRange> parts,
                                    const std::stop_token& stop);
  [[nodiscard]] bool all_gather(const Tensor& inout, std::span<const ElementRange> parts, const std::stop_token& stop);
  [[nodiscard]] bool broadcast(const Tensor& inout, int root, const std::stop_token& stop);

 private:
  enum class Step : uint8_t { kAddAll, kAddParts, kGather };  // all of the piece, or the parts of it
  // Some of the elements of every part.
  struct Piece {
    std::vector<ElementRange> parts;  // by rank; of kAddAll only one
    std::vector<Step> steps;          // left, the next one last
    int slot = 0;
    std::vector<MPI_Request> requests;
  };
  // At most.  Over TCP Open MPI sends what is below 64 KiB at once.  More would wait for the receiver's answer, and
  // that for its progress thread to get a processor, milliseconds where another thread computes on it.
  static constexpr int64_t kMessageBytes = int64_t{60} << 10;
  static constexpr int64_t kSmallBytes = int64_t{4} << 10;  // tensors that all ranks send whole

  [[nodiscard]] bool run(const Tensor& inout, std::span<const ElementRange> parts, const std::vector<Step>& steps,
                         const std::stop_token& stop);
  void begin(Piece& piece, const Tensor& inout);
  void add(const Piece& piece, const Tensor& inout);  // what it received
  std::byte* received(const Piece& piece, int from) {
    return received_.data() + (piece.slot * size_ + from) * kMessageBytes;
  }

  MpiComm comm_;
  const int rank_, size_;
  const int slots_;                  // pieces under way: about 2 MB, what travels in such a time
  std::vector<std::byte> received_;  // [slots_][size_][kMessageBytes]: 240 KiB for each of many ranks
};

// Rank r's part of a tensor, for all r.
std::vector<ElementRange> parts_of_ranks(int ranks, int64_t elements);

}  // namespace convoy
