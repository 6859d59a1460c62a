// What passes between the stages when blocks of a Gauss-Newton matrix are made.
#pragma once

namespace gsplat {

struct MomentInputs {
  const float* colors;   // the image that compositing made, [images, height, width, 3]
  const float* weights;  // of its numbers, the same shape, not negative
};

struct GaussNewtonBlocks {
  float* geometry;  // [batches, gaussians, kGeometryPairs], see math/gauss_newton.h
  float* first;     // the diagonal of the SH coefficients, strides as in ShInputs
  float* rest;
};

}  // namespace gsplat
