// g++ 12.2 with -ftrivial-auto-var-init=zero or =pattern loses members of a struct that a lambda captures by copy as
// part of a tuple, at any optimisation.  Exits 0 where the copy is whole.
#include <tuple>

struct Numbers {
  struct {
    float a, b;
  } at[64];
};
struct Operation {
  const char* x;
  float* y;
  int all, first, count;
  Numbers numbers;
};

int main() {
  Numbers numbers{};
  numbers.at[0].a = 1;
  const std::tuple<Operation, long> values{Operation{nullptr, nullptr, 3, 0, 3, numbers}, 5L};
  const auto copy = [values] { return std::get<0>(values).numbers.at[0].a; };
  return copy() == 1 ? 0 : 1;
}
