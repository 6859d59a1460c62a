// Lossless coding of integers by context mixing: a binary arithmetic coder whose probabilities are a learned
// mixture of several adaptive models (after Mahoney 2005, "Adaptive weighing of context models").
//
// All arithmetic is in integers, so that a file decodes to the same numbers on every machine.
#pragma once

#include <cstdint>
#include <vector>

namespace gsplat {

// Every value is coded after up to this many earlier rows that resemble its own.
inline constexpr int kCausalNeighbors = 3;
inline constexpr int kMostLabelBits = 16;
inline constexpr int64_t kMostCodedChannels = 256;
inline constexpr int32_t kLargestCodedValue = 1 << 28;

// Table [rows, channels] of integers up to kLargestCodedValue in size. `neighbors` [rows, 3] names for each
// row earlier rows, most similar first, or -1: what stands there predicts the row, and its errors say how far
// to trust that. Of a picture these are the pixels to the left, above and above left.
std::vector<uint8_t> encode_table(const int32_t* values, const int32_t* neighbors, int64_t rows,
                                  int64_t channels);

// The inverse. Bytes that are missing count as zero, and whatever the bytes are, it ends: damage is for a
// checksum to find. Values stay within twice kLargestCodedValue.
void decode_table(const uint8_t* bytes, int64_t size, const int32_t* neighbors, int64_t rows,
                  int64_t channels, int32_t* values);

// Ascending codes below 2^62, as their differences.
std::vector<uint8_t> encode_ascending(const int64_t* codes, int64_t count);
void decode_ascending(const uint8_t* bytes, int64_t size, int64_t count, int64_t* codes);

// Labels in [0, 2^bits), bits <= 16: numbers of a codebook in which codes with a common prefix resemble each
// other. `neighbors` as above; their labels say which prefixes are likely.
std::vector<uint8_t> encode_labels(const int32_t* labels, const int32_t* neighbors, int64_t rows, int bits);
void decode_labels(const uint8_t* bytes, int64_t size, const int32_t* neighbors, int64_t rows, int bits,
                   int32_t* labels);

// For points [count, 3] in an order that keeps near ones together (coordinates below 2^30 in size): of the 48
// rows before each, the three nearest, or -1.
void earlier_neighbors(const int32_t* positions, int64_t count, int32_t* neighbors);

}  // namespace gsplat
