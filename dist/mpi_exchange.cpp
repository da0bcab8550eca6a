#include "dist/mpi_exchange.h"

#include <algorithm>
#include <deque>

#include "dist/backoff.h"
#include "dist/collective_queue.h"
#include "dist/rank_sum.h"

namespace convoy {
namespace {

// Short at first, then asleep: the thread that computes may be on the same core.
Backoff patience() { return {0, 20}; }

bool ended(std::vector<MPI_Request>& requests) {
  int done = 0;
  check(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE));
  return done != 0;
}

// Chunk `index` of a part.
ElementRange chunk_of(const ElementRange& part, int64_t index, int64_t elements) {
  const int64_t begin = std::min(part.begin + index * elements, part.end);
  return {begin, std::min(begin + elements, part.end)};
}

}  // namespace

std::vector<ElementRange> parts_of_ranks(int ranks, int64_t elements) {
  std::vector<ElementRange> parts;
  for (int r = 0; r < ranks; ++r) parts.push_back(part_of_rank(r, ranks, elements));
  return parts;
}

bool MpiExchange::all_reduce(const Tensor& inout, const std::stop_token& stop) {
  const int64_t elements = inout.type.shape.elements();
  if (size_ == 2 || inout.type.bytes() <= kSmallBytes) {
    return run(inout, std::vector{ElementRange{0, elements}}, {Step::kAddAll}, stop);
  }
  return run(inout, parts_of_ranks(size_, elements), {Step::kGather, Step::kAddParts}, stop);
}

bool MpiExchange::reduce_scatter(const Tensor& inout, std::span<const ElementRange> parts,
                                 const std::stop_token& stop) {
  return run(inout, parts, {Step::kAddParts}, stop);
}

bool MpiExchange::all_gather(const Tensor& inout, std::span<const ElementRange> parts, const std::stop_token& stop) {
  return run(inout, parts, {Step::kGather}, stop);
}

bool MpiExchange::broadcast(const Tensor& inout, int root, const std::stop_token& stop) {
  constexpr int64_t kAtMost = int64_t{1} << 30;  // MPI counts in int
  Backoff backoff = patience();
  for (int64_t begin = 0; begin < inout.type.bytes(); begin += kAtMost) {
    const int64_t bytes = std::min(kAtMost, inout.type.bytes() - begin);
    std::vector<MPI_Request> request(1);
    check(MPI_Ibcast(inout.as<std::byte>() + begin, static_cast<int>(bytes), MPI_BYTE, root, comm_.get(), &request[0]));
    for (; !ended(request); backoff.wait()) {
      if (stop.stop_requested()) return false;
    }
  }
  return true;
}

bool MpiExchange::run(const Tensor& inout, std::span<const ElementRange> parts, const std::vector<Step>& steps,
                      const std::stop_token& stop) {
  received_.resize(static_cast<size_t>(slots_ * size_ * kMessageBytes));
  const int64_t chunk = kMessageBytes / size_of(inout.type.dtype);
  const int64_t longest = std::ranges::max(parts, {}, &ElementRange::size).size();
  const int64_t pieces = (longest + chunk - 1) / chunk;
  std::deque<Piece> under_way;
  Backoff backoff = patience();
  for (int64_t begun = 0; begun < pieces || !under_way.empty();) {
    bool moved = false;
    for (; begun < pieces && std::ssize(under_way) < slots_; ++begun, moved = true) {
      Piece& piece = under_way.emplace_back(Piece{{}, steps, static_cast<int>(begun % slots_), {}});
      for (const ElementRange& part : parts) piece.parts.push_back(chunk_of(part, begun, chunk));
      begin(piece, inout);
    }
    for (Piece& piece : under_way) {
      if (piece.steps.empty() || !ended(piece.requests)) continue;
      if (piece.steps.back() != Step::kGather) add(piece, inout);
      piece.steps.pop_back();
      if (!piece.steps.empty()) begin(piece, inout);
      moved = true;
    }
    while (!under_way.empty() && under_way.front().steps.empty()) under_way.pop_front();
    if (moved) {
      backoff.reset();
    } else {
      if (stop.stop_requested()) return false;
      backoff.wait();
    }
  }
  return true;
}

// Messages of a pair of ranks with one tag come in the order in which they were sent, and slots are used in turn.
void MpiExchange::begin(Piece& piece, const Tensor& inout) {
  const Step step = piece.steps.back();
  const int64_t element_bytes = size_of(inout.type.dtype);
  const int tag = 2 * piece.slot + (step == Step::kGather ? 1 : 0);
  const auto part = [&](int rank) { return piece.parts[step == Step::kAddAll ? 0 : static_cast<size_t>(rank)]; };
  const auto at = [&](const ElementRange& range) { return inout.as<std::byte>() + range.begin * element_bytes; };
  const auto bytes = [&](const ElementRange& range) { return static_cast<int>(range.size() * element_bytes); };
  piece.requests.clear();
  for (int i = 1; i < size_; ++i) {  // beginning with the next rank, so that not all send to the first
    const int to = (rank_ + i) % size_, from = (rank_ + size_ - i) % size_;
    const ElementRange sent = part(step == Step::kAddParts ? to : rank_);
    const ElementRange got = part(step == Step::kGather ? from : rank_);
    if (got.size() > 0) {
      std::byte* const place = step == Step::kGather ? at(got) : received(piece, from);
      check(MPI_Irecv(place, bytes(got), MPI_BYTE, from, tag, comm_.get(), &piece.requests.emplace_back()));
    }
    if (sent.size() == 0) continue;
    check(MPI_Isend(at(sent), bytes(sent), MPI_BYTE, to, tag, comm_.get(), &piece.requests.emplace_back()));
  }
}

void MpiExchange::add(const Piece& piece, const Tensor& inout) {
  const ElementRange mine = piece.parts[piece.steps.back() == Step::kAddAll ? 0 : static_cast<size_t>(rank_)];
  std::byte* const target = inout.as<std::byte>() + mine.begin * size_of(inout.type.dtype);
  std::vector<std::byte*> sources;
  for (int r = 0; r < size_; ++r) sources.push_back(r == rank_ ? target : received(piece, r));
  sum_over_ranks(inout.type.dtype, sources, {&target, 1}, mine.size());
}

}  // namespace convoy
