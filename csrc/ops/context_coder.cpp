// Operators of the lossless coder.
#include "cpu/context_coder.h"

#include <torch/csrc/stable/library.h>

#include <cstring>
#include <vector>

#include "cpu/residual_coder.h"
#include "ops/checks.h"

namespace gsplat::ops {
namespace {

Tensor as_tensor(const std::vector<uint8_t>& bytes, const Tensor& like) {
  Tensor result = empty_like_device(like, {static_cast<int64_t>(bytes.size())}, ScalarType::Byte);
  if (!bytes.empty()) std::memcpy(result.mutable_data_ptr(), bytes.data(), bytes.size());
  return result;
}

const uint8_t* bytes_of(const Tensor& tensor) { return static_cast<const uint8_t*>(tensor.const_data_ptr()); }

void check_neighbors(const Tensor& neighbors, int64_t rows) {
  check_tensor(neighbors, "neighbors", {rows, kCausalNeighbors}, ScalarType::Int);
  check_index_range(rows, "rows");
  for (int64_t row = 0; row < rows; ++row) {
    for (int i = 0; i < kCausalNeighbors; ++i) {
      const int32_t neighbor = ints(neighbors)[row * kCausalNeighbors + i];
      STD_TORCH_CHECK(neighbor >= -1 && neighbor < row,
                      "gsplat_core: argument 'neighbors' must name earlier rows or -1, but row ", row,
                      " names ", neighbor);
    }
  }
}

void check_channels(int64_t channels) {
  STD_TORCH_CHECK(channels >= 1 && channels <= kMostCodedChannels,
                  "gsplat_core: a table must have between 1 and ", kMostCodedChannels, " channels, got ",
                  channels);
}

void check_values(const Tensor& values, int64_t channels) {
  for (int64_t i = 0; i < values.size(0) * channels; ++i) {
    const int32_t value = ints(values)[i];
    STD_TORCH_CHECK(value >= -kLargestCodedValue && value <= kLargestCodedValue,
                    "gsplat_core: argument 'values' must be within +-", kLargestCodedValue, ", but row ",
                    i / channels, " has ", value);
  }
}

Tensor encode_table_op(Tensor values, Tensor neighbors) {
  check_tensor(values, "values", {kAny, kAny}, ScalarType::Int);
  const int64_t rows = values.size(0), channels = values.size(1);
  check_channels(channels);
  values = packed(values);
  neighbors = packed(neighbors);
  check_neighbors(neighbors, rows);
  check_values(values, channels);
  return as_tensor(encode_table(ints(values), ints(neighbors), rows, channels), values);
}

Tensor decode_table_op(Tensor bytes, Tensor neighbors, int64_t channels) {
  check_tensor(bytes, "data", {kAny}, ScalarType::Byte);
  check_tensor(neighbors, "neighbors", {kAny, kCausalNeighbors}, ScalarType::Int);
  check_channels(channels);
  bytes = packed(bytes);
  neighbors = packed(neighbors);
  const int64_t rows = neighbors.size(0);
  check_neighbors(neighbors, rows);
  Tensor values = zeros_like_device(bytes, {rows, channels}, ScalarType::Int);
  decode_table(bytes_of(bytes), bytes.size(0), ints(neighbors), rows, channels, mutable_ints(values));
  return values;
}

Tensor check_deviations(const Tensor& deviations, int64_t rows, int64_t channels) {
  check_tensor(deviations, "deviations", {rows, channels}, ScalarType::Int);
  check_channels(channels);
  Tensor result = packed(deviations);
  for (int64_t i = 0; i < rows * channels; ++i) {
    const int32_t deviation = ints(result)[i];
    STD_TORCH_CHECK(deviation >= 0 && deviation < kResidualDeviations,
                    "gsplat_core: argument 'deviations' must be from 0 to ", kResidualDeviations - 1,
                    ", but row ", i / channels, " has ", deviation);
  }
  return result;
}

Tensor encode_residuals_op(Tensor values, Tensor deviations, Tensor neighbors) {
  check_tensor(values, "values", {kAny, kAny}, ScalarType::Int);
  const int64_t rows = values.size(0), channels = values.size(1);
  deviations = check_deviations(deviations, rows, channels);
  values = packed(values);
  neighbors = packed(neighbors);
  check_neighbors(neighbors, rows);
  check_values(values, channels);
  return as_tensor(encode_residuals(ints(values), ints(deviations), ints(neighbors), rows, channels), values);
}

Tensor decode_residuals_op(Tensor bytes, Tensor deviations, Tensor neighbors) {
  check_tensor(bytes, "data", {kAny}, ScalarType::Byte);
  check_tensor(deviations, "deviations", {kAny, kAny}, ScalarType::Int);
  const int64_t rows = deviations.size(0), channels = deviations.size(1);
  deviations = check_deviations(deviations, rows, channels);
  bytes = packed(bytes);
  neighbors = packed(neighbors);
  check_neighbors(neighbors, rows);
  Tensor values = zeros_like_device(bytes, {rows, channels}, ScalarType::Int);
  decode_residuals(bytes_of(bytes), bytes.size(0), ints(deviations), ints(neighbors), rows, channels,
                   mutable_ints(values));
  return values;
}

int check_bits(int64_t bits) {
  STD_TORCH_CHECK(bits >= 0 && bits <= kMostLabelBits, "gsplat_core: argument 'bits' must be from 0 to ",
                  kMostLabelBits, ", got ", bits);
  return static_cast<int>(bits);
}

Tensor encode_labels_op(Tensor labels, Tensor neighbors, int64_t bits) {
  check_tensor(labels, "labels", {kAny}, ScalarType::Int);
  check_bits(bits);
  labels = packed(labels);
  neighbors = packed(neighbors);
  const int64_t rows = labels.size(0);
  check_neighbors(neighbors, rows);
  for (int64_t i = 0; i < rows; ++i) {
    const int32_t label = ints(labels)[i];
    STD_TORCH_CHECK(label >= 0 && label < (1 << bits), "gsplat_core: argument 'labels' must be from 0 to ",
                    (1 << bits) - 1, ", but row ", i, " is ", label);
  }
  return as_tensor(encode_labels(ints(labels), ints(neighbors), rows, static_cast<int>(bits)), labels);
}

Tensor decode_labels_op(Tensor bytes, Tensor neighbors, int64_t bits) {
  check_tensor(bytes, "data", {kAny}, ScalarType::Byte);
  check_tensor(neighbors, "neighbors", {kAny, kCausalNeighbors}, ScalarType::Int);
  check_bits(bits);
  bytes = packed(bytes);
  neighbors = packed(neighbors);
  const int64_t rows = neighbors.size(0);
  check_neighbors(neighbors, rows);
  Tensor labels = zeros_like_device(bytes, {rows}, ScalarType::Int);
  decode_labels(bytes_of(bytes), bytes.size(0), ints(neighbors), rows, static_cast<int>(bits),
                mutable_ints(labels));
  return labels;
}

Tensor encode_ascending_op(Tensor codes) {
  check_tensor(codes, "codes", {kAny}, ScalarType::Long);
  codes = packed(codes);
  const auto* values = static_cast<const int64_t*>(codes.const_data_ptr());
  int64_t before = 0;
  for (int64_t i = 0; i < codes.size(0); ++i) {
    STD_TORCH_CHECK(values[i] >= before && values[i] < (int64_t{1} << 62),
                    "gsplat_core: argument 'codes' must ascend from 0 to below 2^62, but row ", i, " is ",
                    values[i]);
    before = values[i];
  }
  return as_tensor(encode_ascending(values, codes.size(0)), codes);
}

Tensor decode_ascending_op(Tensor bytes, int64_t count) {
  check_tensor(bytes, "data", {kAny}, ScalarType::Byte);
  STD_TORCH_CHECK(count >= 0, "gsplat_core: argument 'count' must not be negative, got ", count);
  bytes = packed(bytes);
  Tensor codes = empty_like_device(bytes, {count}, ScalarType::Long);
  decode_ascending(bytes_of(bytes), bytes.size(0), count, static_cast<int64_t*>(codes.mutable_data_ptr()));
  return codes;
}

Tensor earlier_neighbors_op(Tensor positions) {
  check_tensor(positions, "positions", {kAny, 3}, ScalarType::Int);
  check_index_range(positions.size(0), "positions");
  positions = packed(positions);
  for (int64_t i = 0; i < 3 * positions.size(0); ++i) {
    const int32_t value = ints(positions)[i];
    STD_TORCH_CHECK(value > -(1 << 30) && value < (1 << 30),
                    "gsplat_core: argument 'positions' must be below 2^30 in size, but row ", i / 3, " has ",
                    value);
  }
  Tensor neighbors = empty_like_device(positions, {positions.size(0), kCausalNeighbors}, ScalarType::Int);
  earlier_neighbors(ints(positions), positions.size(0), mutable_ints(neighbors));
  return neighbors;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("encode_table(Tensor values, Tensor neighbors) -> Tensor");
  m.def("decode_table(Tensor data, Tensor neighbors, int channels) -> Tensor");
  m.def("encode_residuals(Tensor values, Tensor deviations, Tensor neighbors) -> Tensor");
  m.def("decode_residuals(Tensor data, Tensor deviations, Tensor neighbors) -> Tensor");
  m.def("encode_labels(Tensor labels, Tensor neighbors, int bits) -> Tensor");
  m.def("decode_labels(Tensor data, Tensor neighbors, int bits) -> Tensor");
  m.def("encode_ascending(Tensor codes) -> Tensor");
  m.def("earlier_neighbors(Tensor positions) -> Tensor");
  m.def("decode_ascending(Tensor data, int count) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("encode_table", TORCH_BOX(&encode_table_op));
  m.impl("decode_table", TORCH_BOX(&decode_table_op));
  m.impl("encode_residuals", TORCH_BOX(&encode_residuals_op));
  m.impl("decode_residuals", TORCH_BOX(&decode_residuals_op));
  m.impl("encode_labels", TORCH_BOX(&encode_labels_op));
  m.impl("decode_labels", TORCH_BOX(&decode_labels_op));
  m.impl("earlier_neighbors", TORCH_BOX(&earlier_neighbors_op));
  m.impl("encode_ascending", TORCH_BOX(&encode_ascending_op));
  m.impl("decode_ascending", TORCH_BOX(&decode_ascending_op));
}

}  // namespace gsplat::ops
