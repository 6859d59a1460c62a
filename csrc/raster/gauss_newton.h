// What passes between the stages when blocks of a Gauss-Newton matrix are made.
#pragma once

#include <cstdint>

namespace gsplat {

// Sums over the pixels p that blended a splat, its moments: with the weights W_pc of the three channels, the
// blending weight w, e_c = d colour_c / d ln alpha, and the monomials m of math/gauss_newton.h,
//   15 numbers  sum_p (sum_c W_pc e_c^2) m_k, of degree 0 to 4
//   3 numbers   sum_p W_pc w^2
//   3 x 6       sum_p W_pc e_c w m_k, of degree 0 to 2, channel by channel.
inline constexpr int kChannelMoments = 15;  // where the three begin
inline constexpr int kMixedMoments = 18;    // where the 3 x 6 begin
inline constexpr int kSplatMoments = 36;

// A Gaussian's geometry: mean 3, quaternion 4, scales 3, opacity.
inline constexpr int kGeometry = 11;
// Entries of a symmetric matrix of that size: the upper triangle, row by row.
inline constexpr int kGeometryPairs = kGeometry * (kGeometry + 1) / 2;

struct GaussNewtonBlocks {
  float* geometry;  // [batches, gaussians, kGeometryPairs]
  float* first;     // the diagonal of the SH coefficients, strides as in ShInputs
  float* rest;
};

}  // namespace gsplat
