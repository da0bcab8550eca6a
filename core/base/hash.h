// XXH3: fast hashes that are the same on every machine.  They find accidents (bit rot, mixed-up files), not attackers.
// The only door to xxHash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace convoy {

uint64_t hash64(std::span<const std::byte> bytes);
uint64_t hash64(std::string_view text);

// 32 lower-case hexadecimal digits.
std::string hash128_hex(std::span<const std::byte> bytes);
std::string hash128_hex(std::string_view text);

// The 128-bit hash of bytes that arrive in pieces; equal to hash128_hex of all of them together.
class Hash128 {
 public:
  Hash128();
  ~Hash128();
  Hash128(Hash128&&) noexcept;
  Hash128& operator=(Hash128&&) noexcept;

  void update(std::span<const std::byte> bytes);
  std::string hex() const;  // of everything so far; more may follow

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convoy
