// Operator `read_number_lines`: numbers out of lines of text.
#include "cpu/number_lines.h"

#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include "ops/checks.h"

namespace gsplat::ops {
namespace {

template <class Value>
Tensor as_table(const std::vector<Value>& values, const Tensor& like, int64_t rows, int64_t columns,
                ScalarType dtype) {
  Tensor result = empty_like_device(like, {rows, columns}, dtype);
  if (!values.empty()) std::memcpy(result.mutable_data_ptr(), values.data(), values.size() * sizeof(Value));
  return result;
}

void check_letters(const std::string& letters, const char* name) {
  STD_TORCH_CHECK(letters.find_first_not_of("bdi") == std::string::npos, "gsplat_core: argument '", name,
                  "' must consist of the letters b, d and i, got '", letters, "'");
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, int64_t> read_number_lines_op(Tensor text,
                                                                                 std::string head,
                                                                                 std::string tail) {
  check_tensor(text, "text", {kAny}, ScalarType::Byte);
  check_letters(head, "head");
  check_letters(tail, "tail");
  STD_TORCH_CHECK(!tail.empty(), "gsplat_core: argument 'tail' must not be empty");
  text = packed(text);
  const NumberLines lines = read_number_lines(
      {static_cast<const char*>(text.const_data_ptr()), static_cast<size_t>(text.size(0))}, {head, tail});
  const auto rows = static_cast<int64_t>(lines.repeats.size());
  const int64_t head_numbers = std::count(head.begin(), head.end(), 'd'),
                tail_numbers = std::count(tail.begin(), tail.end(), 'd');
  const int64_t head_integers = static_cast<int64_t>(head.size()) - head_numbers,
                tail_integers = static_cast<int64_t>(tail.size()) - tail_numbers;
  int64_t repeats = 0;
  for (const int64_t count : lines.repeats) repeats += count;
  Tensor counts = empty_like_device(text, {rows}, ScalarType::Long);
  if (rows > 0) std::memcpy(counts.mutable_data_ptr(), lines.repeats.data(), rows * sizeof(int64_t));
  return {as_table(lines.head_integers, text, rows, head_integers, ScalarType::Long),
          as_table(lines.head_numbers, text, rows, head_numbers, ScalarType::Double),
          as_table(lines.tail_integers, text, repeats, tail_integers, ScalarType::Long),
          as_table(lines.tail_numbers, text, repeats, tail_numbers, ScalarType::Double),
          counts,
          lines.size};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "read_number_lines(Tensor text, str head, str tail) -> (Tensor head_integers, Tensor head_numbers, "
      "Tensor tail_integers, Tensor tail_numbers, Tensor repeats, int size)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("read_number_lines", TORCH_BOX(&read_number_lines_op));
}

}  // namespace gsplat::ops
