// Lossless coding of what predictions missed, in whole steps, where each has a deviation of its own that is
// known beforehand: such as what a network says of anchors (compress/anchors.py).
//
// Each bit of a number has the probability that a Gaussian of this deviation gives it, mixed with adaptive
// models of the same bit (`bit_models.h`), which learn where the numbers are not as normal as that. All
// arithmetic is in integers, so that a file decodes to the same numbers on every machine.
#pragma once

#include <cstdint>
#include <vector>

namespace gsplat {

// Deviations are given in eighths of octaves: 2^(d / 8 - 3) steps.
inline constexpr int kResidualDeviations = 128;

// Residuals [rows, channels] up to kLargestCodedValue in size, with deviations [rows, channels] in [0, 128).
// `neighbors` [rows, 3] as for `encode_table`: how large the residuals of earlier rows were, and to which
// side, says something of this row's.
std::vector<uint8_t> encode_residuals(const int32_t* values, const int32_t* deviations,
                                      const int32_t* neighbors, int64_t rows, int64_t channels);

// The inverse. Whatever the bytes are, it ends, and values stay within twice kLargestCodedValue.
void decode_residuals(const uint8_t* bytes, int64_t size, const int32_t* deviations, const int32_t* neighbors,
                      int64_t rows, int64_t channels, int32_t* values);

}  // namespace gsplat
