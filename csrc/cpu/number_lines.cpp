#include "cpu/number_lines.h"

#include <array>
#include <bit>
#include <cmath>
#include <optional>

namespace gsplat {
namespace {

constexpr int kIntegerDigits = 18;  // always below 2^63
constexpr int kNumberDigits = 19;   // always below 2^64
// The largest powers of five and ten that have an exact double or a divisor of 64 bits.
constexpr int kLargestPower = 27;
constexpr int kExactPower = 22;

constexpr std::array<uint64_t, kLargestPower + 1> kPowersOfFive = [] {
  std::array<uint64_t, kLargestPower + 1> powers{1};
  for (int i = 1; i <= kLargestPower; ++i) powers[i] = 5 * powers[i - 1];
  return powers;
}();

constexpr std::array<double, kExactPower + 1> kPowersOfTen = [] {
  std::array<double, kExactPower + 1> powers{1.0};
  for (int i = 1; i <= kExactPower; ++i) powers[i] = 10.0 * powers[i - 1];
  return powers;
}();

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

// The double nearest to digits / 10^places, places <= kLargestPower.
double quotient(uint64_t digits, int places) {
  constexpr uint64_t kExactDigits = uint64_t{1} << 53;
  if (digits <= kExactDigits && places <= kExactPower) {
    // Both are exact, so their quotient is rounded once (Clinger 1990).
    return static_cast<double>(digits) / kPowersOfTen[places];
  }
  // A quotient of 62 bits at least, and whether anything is left of it, rounds as the exact one does.
  const uint64_t divisor = kPowersOfFive[places];
  const int shift = std::countl_zero(digits) + 63 - std::countl_zero(divisor);
  const auto scaled = static_cast<unsigned __int128>(digits) << shift;
  const auto whole = static_cast<uint64_t>(scaled / divisor);
  const bool rest = scaled != static_cast<unsigned __int128>(whole) * divisor;
  return std::ldexp(static_cast<double>(whole | static_cast<uint64_t>(rest)), -shift - places);
}

// A place in a text that moves on over what it reads.
class Reader {
public:
  explicit Reader(std::string_view text) : next_(text.data()), end_(text.data() + text.size()) {}

  const char* place() const { return next_; }
  bool at_end() const { return next_ == end_; }

  // Whether a line ends here; then the next one begins.
  bool line_end() {
    if (at_end()) return true;
    if (*next_ != '\n') return false;
    ++next_;
    return true;
  }

  void skip_blanks() {
    while (!at_end() && is_blank(*next_)) ++next_;
  }

  std::optional<int64_t> integer() {
    const bool negative = take('-');
    int digits = 0;
    int64_t value = 0;
    for (; !at_end() && is_digit(*next_); ++next_, ++digits) {
      if (digits == kIntegerDigits) return std::nullopt;
      value = 10 * value + (*next_ - '0');
    }
    if (digits == 0 || !token_end()) return std::nullopt;
    return negative ? -value : value;
  }

  std::optional<double> number() {
    const bool negative = take('-');
    const char* const first = next_;
    uint64_t value = 0;
    int digits = 0;  // that count
    if (!take_digits(value, digits)) return std::nullopt;
    int64_t read = next_ - first, places = 0;
    if (take('.')) {
      const char* const fraction = next_;
      if (!take_digits(value, digits)) return std::nullopt;
      places = next_ - fraction;
      read += places;
    }
    if (read == 0) return std::nullopt;
    if (take('e') || take('E')) {
      const std::optional<int64_t> power = exponent();
      if (!power) return std::nullopt;
      places -= *power;
    }
    if (!token_end()) return std::nullopt;
    if (value == 0) return negative ? -0.0 : 0.0;
    if (places < 0 || places > kLargestPower) return std::nullopt;
    const double size = quotient(value, static_cast<int>(places));
    return negative ? -size : size;
  }

private:
  bool take(char c) {
    if (at_end() || *next_ != c) return false;
    ++next_;
    return true;
  }

  bool token_end() const { return at_end() || *next_ == '\n' || is_blank(*next_); }

  // Appends digits to a number; false if it becomes too long.
  bool take_digits(uint64_t& value, int& digits) {
    for (; !at_end() && is_digit(*next_); ++next_) {
      if (digits == kNumberDigits) return false;
      value = 10 * value + static_cast<uint64_t>(*next_ - '0');
      digits += value != 0;
    }
    return true;
  }

  std::optional<int64_t> exponent() {
    const bool negative = take('-');
    if (!negative) take('+');
    int64_t value = 0;
    const char* const first = next_;
    for (; !at_end() && is_digit(*next_); ++next_) {
      if (value > 99) return std::nullopt;
      value = 10 * value + (*next_ - '0');
    }
    if (next_ == first) return std::nullopt;
    return negative ? -value : value;
  }

  const char* next_;
  const char* end_;
};

// Reads what a pattern's letters say; false where something else stands.
bool read_numbers(Reader& reader, std::string_view letters, std::vector<int64_t>& integers,
                  std::vector<double>& numbers) {
  for (const char letter : letters) {
    reader.skip_blanks();
    if (letter == 'd') {
      const std::optional<double> value = reader.number();
      if (!value) return false;
      numbers.push_back(*value);
    } else {
      const std::optional<int64_t> value = reader.integer();
      if (!value || (letter == 'b' && (*value < 0 || *value > 255))) return false;
      integers.push_back(*value);
    }
  }
  return true;
}

// How much of a table is whole lines.
struct Sizes {
  size_t head_integers, head_numbers, tail_integers, tail_numbers;

  explicit Sizes(const NumberLines& lines)
      : head_integers(lines.head_integers.size()),
        head_numbers(lines.head_numbers.size()),
        tail_integers(lines.tail_integers.size()),
        tail_numbers(lines.tail_numbers.size()) {}

  void restore(NumberLines& lines) const {
    lines.head_integers.resize(head_integers);
    lines.head_numbers.resize(head_numbers);
    lines.tail_integers.resize(tail_integers);
    lines.tail_numbers.resize(tail_numbers);
  }
};

bool read_line(Reader& reader, const LinePattern& pattern, NumberLines& lines) {
  if (!read_numbers(reader, pattern.head, lines.head_integers, lines.head_numbers)) return false;
  int64_t repeats = 0;
  for (reader.skip_blanks(); !reader.line_end(); reader.skip_blanks(), ++repeats) {
    if (!read_numbers(reader, pattern.tail, lines.tail_integers, lines.tail_numbers)) return false;
  }
  lines.repeats.push_back(repeats);
  return true;
}

}  // namespace

NumberLines read_number_lines(std::string_view text, const LinePattern& pattern) {
  NumberLines lines;
  Reader reader(text);
  while (!reader.at_end()) {
    const Sizes before(lines);
    if (!read_line(reader, pattern, lines)) {
      before.restore(lines);
      break;
    }
    lines.size = reader.place() - text.data();
  }
  return lines;
}

}  // namespace gsplat
