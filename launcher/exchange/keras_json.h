// Typed reading of Keras' configurations: JSON that a stranger wrote.
#pragma once

#include <array>
#include <limits>
#include <string>

#include <nlohmann/json.hpp>

namespace convoy {

// The fields of one object.  Keras writes null for what was not given: absent and null are the same here.  Everything
// that throws throws Error(kBadData): "m.h5: layer 'conv1' (Conv2D): kernel_size: expected …".
class KerasFields {
 public:
  // Borrows `object`.  Throws where it is none.
  KerasFields(const nlohmann::json& object, std::string where);

  const nlohmann::json* find(const char* key) const;  // null: absent
  const nlohmann::json& require(const char* key) const;
  bool has(const char* key) const { return find(key) != nullptr; }

  std::string text(const char* key) const;
  std::string text_or(const char* key, const std::string& otherwise) const;
  bool boolean_or(const char* key, bool otherwise) const;
  double number(const char* key) const;  // finite
  double number_or(const char* key, double otherwise) const;
  int integer(const char* key) const;
  int integer_or(const char* key, int otherwise) const;
  std::array<int, 2> pair(const char* key) const;  // 3 or [3, 5], each from 1
  std::array<int, 2> pair_or(const char* key, std::array<int, 2> otherwise) const;

  [[noreturn]] void fail(const std::string& key, const std::string& what) const;  // bad data
  [[noreturn]] void refuse(const std::string& what) const;                        // Error(kConfig): Convoy has it not
  const std::string& where() const { return where_; }

 private:
  const nlohmann::json& object_;
  std::string where_;
};

// An integer, or a number that is one; false for anything else.
bool as_integer(const nlohmann::json& value, int& out);

}  // namespace convoy
