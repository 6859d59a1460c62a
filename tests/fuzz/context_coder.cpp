// Fuzzes the lossless coder: any bytes decode to numbers in range, and what is encoded decodes to itself.
// Built by `fuzz/native.py` with Clang's libFuzzer and its address and undefined-behaviour sanitizers.
#include "cpu/context_coder.h"

#include <algorithm>
#include <cstdlib>

#include "../one_thread.h"
#include "cpu/residual_coder.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// Numbers taken from the front of the input; zeros behind its end.
class Input {
public:
  Input(const uint8_t* data, size_t size) : next_(data), end_(data + size) {}

  uint8_t byte() { return next_ < end_ ? *next_++ : 0; }

  int32_t number() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value |= static_cast<uint32_t>(byte()) << (8 * i);
    return static_cast<int32_t>(value);
  }

  const uint8_t* rest() const { return next_; }
  int64_t remaining() const { return end_ - next_; }

private:
  const uint8_t* next_;
  const uint8_t* end_;
};

std::vector<int32_t> neighbors_for(int64_t rows, uint8_t pattern) {
  std::vector<int32_t> neighbors(rows * gsplat::kCausalNeighbors, -1);
  for (int64_t row = 0; row < rows; ++row) {
    for (int i = 0; i < gsplat::kCausalNeighbors; ++i) {
      const int64_t back = 1 + ((pattern >> (2 * i)) & 3) * (i + 1);
      if (back <= row) neighbors[row * gsplat::kCausalNeighbors + i] = static_cast<int32_t>(row - back);
    }
  }
  return neighbors;
}

// Whatever the bytes are, tables are in range. So are labels and codes below.
void decode_table(Input input) {
  const int64_t rows = input.byte(), channels = 1 + input.byte() % 8;
  const std::vector<int32_t> neighbors = neighbors_for(rows, input.byte());
  std::vector<int32_t> table(rows * channels);
  gsplat::decode_table(input.rest(), input.remaining(), neighbors.data(), rows, channels, table.data());
  for (const int32_t value : table)
    require(std::abs(int64_t{value}) <= 2 * int64_t{gsplat::kLargestCodedValue});
}

void decode_labels(Input input) {
  const int64_t rows = input.byte();
  const std::vector<int32_t> neighbors = neighbors_for(rows, input.byte());
  const int bits = input.byte() % (gsplat::kMostLabelBits + 1);
  std::vector<int32_t> labels(rows);
  gsplat::decode_labels(input.rest(), input.remaining(), neighbors.data(), rows, bits, labels.data());
  for (const int32_t label : labels) require(label >= 0 && label < (1 << bits));
}

void decode_ascending(Input input) {
  std::vector<int64_t> codes(input.byte());
  gsplat::decode_ascending(input.rest(), input.remaining(), codes.size(), codes.data());
  for (const int64_t code : codes) require(code >= 0 && code < (int64_t{1} << 62));
}

void table_there_and_back(Input input) {
  const int64_t channels = 1 + input.byte() % 8;
  const uint8_t pattern = input.byte();
  const int width = input.byte() % 30;  // of the numbers, in bits
  const int64_t rows = std::min<int64_t>(input.remaining() / (4 * channels), 256);
  const std::vector<int32_t> neighbors = neighbors_for(rows, pattern);
  std::vector<int32_t> table(rows * channels), found(rows * channels);
  for (int32_t& value : table) {
    value =
        std::clamp(input.number() >> (29 - width), -gsplat::kLargestCodedValue, gsplat::kLargestCodedValue);
  }
  const std::vector<uint8_t> coded = gsplat::encode_table(table.data(), neighbors.data(), rows, channels);
  gsplat::decode_table(coded.data(), coded.size(), neighbors.data(), rows, channels, found.data());
  require(found == table);
}

std::vector<int32_t> deviations_for(int64_t count, uint8_t pattern) {
  std::vector<int32_t> deviations(count);
  for (int64_t i = 0; i < count; ++i)
    deviations[i] = static_cast<int32_t>((pattern + 37 * i) % gsplat::kResidualDeviations);
  return deviations;
}

void decode_residuals(Input input) {
  const int64_t rows = input.byte(), channels = 1 + input.byte() % 8;
  const std::vector<int32_t> neighbors = neighbors_for(rows, input.byte());
  const std::vector<int32_t> deviations = deviations_for(rows * channels, input.byte());
  std::vector<int32_t> values(rows * channels);
  gsplat::decode_residuals(input.rest(), input.remaining(), deviations.data(), neighbors.data(), rows,
                           channels, values.data());
  for (const int32_t value : values)
    require(std::abs(int64_t{value}) <= 2 * int64_t{gsplat::kLargestCodedValue});
}

void residuals_there_and_back(Input input) {
  const int64_t channels = 1 + input.byte() % 8;
  const uint8_t pattern = input.byte();
  const int width = input.byte() % 30;  // of the numbers, in bits
  const int64_t rows = std::min<int64_t>(input.remaining() / (4 * channels), 256);
  const std::vector<int32_t> neighbors = neighbors_for(rows, pattern);
  const std::vector<int32_t> deviations = deviations_for(rows * channels, pattern);
  std::vector<int32_t> values(rows * channels), found(rows * channels);
  for (int32_t& value : values) {
    value =
        std::clamp(input.number() >> (29 - width), -gsplat::kLargestCodedValue, gsplat::kLargestCodedValue);
  }
  const std::vector<uint8_t> coded =
      gsplat::encode_residuals(values.data(), deviations.data(), neighbors.data(), rows, channels);
  gsplat::decode_residuals(coded.data(), coded.size(), deviations.data(), neighbors.data(), rows, channels,
                           found.data());
  require(found == values);
}

void labels_there_and_back(Input input) {
  const std::vector<int32_t> neighbors = neighbors_for(256, input.byte());
  const int bits = input.byte() % (gsplat::kMostLabelBits + 1);
  const int64_t rows = std::min<int64_t>(input.remaining() / 2, 256);
  std::vector<int32_t> labels(rows), found(rows);
  for (int32_t& label : labels) label = (input.byte() | input.byte() << 8) & ((1 << bits) - 1);
  const std::vector<uint8_t> coded = gsplat::encode_labels(labels.data(), neighbors.data(), rows, bits);
  gsplat::decode_labels(coded.data(), coded.size(), neighbors.data(), rows, bits, found.data());
  require(found == labels);
}

void codes_there_and_back(Input input) {
  const int width = input.byte() % 62;  // of their differences, in bits
  const int64_t count = std::min<int64_t>(input.remaining() / 8, 256);
  std::vector<int64_t> codes(count), found(count);
  int64_t code = 0;
  for (int64_t& next : codes) {
    const int64_t step = (int64_t{input.number()} << 30 ^ input.number()) & ((int64_t{1} << width) - 1);
    next = code = std::min(code + step, (int64_t{1} << 62) - 1);
  }
  const std::vector<uint8_t> coded = gsplat::encode_ascending(codes.data(), count);
  gsplat::decode_ascending(coded.data(), coded.size(), count, found.data());
  require(found == codes);
}

void neighbors_of_points(Input input) {
  const int64_t count = std::min<int64_t>(input.remaining() / 12, 256);
  std::vector<int32_t> points(3 * count), neighbors(gsplat::kCausalNeighbors * count);
  for (int32_t& value : points) value = input.number() >> 2;
  gsplat::earlier_neighbors(points.data(), count, neighbors.data());
  for (int64_t i = 0; i < gsplat::kCausalNeighbors * count; ++i) {
    require(neighbors[i] >= -1 && neighbors[i] < i / gsplat::kCausalNeighbors);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  // Of 16 inputs one each for what sets up tables of megabytes, whatever the input.
  switch (const int way = input.byte() % 16; way) {
    case 0:
      decode_labels(input);
      break;
    case 1:
      decode_ascending(input);
      break;
    case 2:
      labels_there_and_back(input);
      break;
    case 3:
      codes_there_and_back(input);
      break;
    case 4:
      neighbors_of_points(input);
      break;
    case 5:
      decode_residuals(input);
      break;
    case 6:
      residuals_there_and_back(input);
      break;
    default:
      way < 11 ? decode_table(input) : table_there_and_back(input);
  }
  return 0;
}
