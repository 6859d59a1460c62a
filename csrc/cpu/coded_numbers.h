// How coders of integers cut a number into bits, and how they summarise one as a context.
#pragma once

#include <algorithm>
#include <cstdint>

namespace gsplat {

// How a number is cut into bits. Each kind of bit has a place of its own in every context:
//   is it zero; its sign; is it more than 1, 2, ...; then the number of digits of what remains, unary; then
//   its two digits after the first, by the number of digits. Further digits are as good as random.
inline constexpr int kZero = 0, kSign = 1, kUnary = 2, kSteps = 8, kLength = kUnary + kSteps, kLengths = 30;
inline constexpr int kDigits = kLength + kLengths, kKinds = 64;
inline constexpr int kDigitLengths = 8;  // longer remainders share the models of their digits
static_assert(kDigits + 3 * kDigitLengths <= kKinds);

inline int bit_length(uint32_t value) { return value == 0 ? 0 : 32 - __builtin_clz(value); }

// code_bit(bit, kind) codes a bit and returns it.
template <class CodeBit, class CodeRaw>
uint32_t code_magnitude(uint32_t value, CodeBit&& code_bit, CodeRaw&& code_raw) {
  for (int step = 0; step < kSteps; ++step) {
    if (!code_bit(value > static_cast<uint32_t>(step) + 1, kUnary + step)) return step + 1;
  }
  // What remains is at least 1 after this.
  const uint32_t rest = value - kSteps;
  const int digits = bit_length(rest);
  int length = 1;
  while (length < kLengths && code_bit(length < digits, kLength + length - 1)) ++length;
  uint32_t result = 1;
  int left = length - 1;
  const int base = kDigits + 3 * std::min(length - 1, kDigitLengths - 1);
  for (int i = 0; i < 2 && left > 0; ++i, --left) {
    const int kind = base + (i == 0 ? 0 : 1 + static_cast<int>(result & 1));
    result = (result << 1) | static_cast<uint32_t>(code_bit((rest >> (left - 1)) & 1, kind));
  }
  if (left > 0) result = (result << left) | code_raw(rest & ((1u << left) - 1), left);
  return result + kSteps;
}

// A number's sign and order of magnitude, in 15 steps.
inline int coarse(int64_t value) {
  const uint64_t size = static_cast<uint64_t>(value < 0 ? -value : value);
  const int order =
      size < 3
          ? static_cast<int>(size)
          : std::min(7, 2 + bit_length(static_cast<uint32_t>(std::min<uint64_t>(size - 1, 1u << 20)) >> 1));
  return value < 0 ? 7 - order : 7 + order;
}

inline int coarse_size(int64_t value) {
  return std::min(15, bit_length(static_cast<uint32_t>(std::min<int64_t>(value, 1 << 20))));
}

}  // namespace gsplat
