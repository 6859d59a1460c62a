// Reading centres of cameras and spherical-harmonics coefficients, one SIMD lane per Gaussian.
#pragma once

#include "cpu/simd/gaussian_lanes.h"
#include "math/spherical_harmonics.h"
#include "raster/cameras.h"

namespace gsplat::GSPLAT_ISA {

// The coefficients of a block of Gaussians, or their gradients.
struct Coefficients {
  Vec3<Float> of[kMaxShBases];

  // Coefficients 1, 2, ... as one vector after the other, as they lie in a row of the scene.
  Float* rest() { return &of[1].x; }
};

// Whether the rows of a block can be read and written as whole vectors.
inline bool fits_columns(int columns, int count) { return count == kLanes && columns >= kLanes; }

// Coefficients of a given degree, which is a constant where that matters.
inline void load_coefficients(const ShInputs& in, int degree, int64_t row, int count, Coefficients& c) {
  c.of[0] = load_vec3(in.first + row * in.first_stride, in.first_stride, count);
  const float* rest = in.rest + row * in.rest_stride;
  const int bases = sh_bases(degree), columns = 3 * (bases - 1);
  if (fits_columns(columns, count)) {
    load_columns(rest, in.rest_stride, columns, c.rest());
  } else {
    for (int k = 1; k < bases; ++k) c.of[k] = load_vec3(rest + 3 * (k - 1), in.rest_stride, count);
  }
}

inline void load_coefficients(const ShInputs& in, int64_t row, int count, Coefficients& c) {
  load_coefficients(in, in.degree, row, count, c);
}

inline Vec3<Float> load_camera_centre(const float* viewmat) {
  Mat3<float> rotation;
  Vec3<float> translation;
  load_pose(viewmat, rotation, translation);
  const Vec3<float> centre = camera_centre(rotation, translation);
  return {Float(centre.x), Float(centre.y), Float(centre.z)};
}

// body.operator()<degree>(): a degree known when this is compiled unrolls all loops over the basis.
template <class Body>
void with_degree(int degree, Body&& body) {
  static_assert(kMaxShDegree == 4);
  switch (degree) {
    case 0:
      return body.template operator()<0>();
    case 1:
      return body.template operator()<1>();
    case 2:
      return body.template operator()<2>();
    case 3:
      return body.template operator()<3>();
    default:
      return body.template operator()<4>();
  }
}

}  // namespace gsplat::GSPLAT_ISA
