// Reading cameras and Gaussians for projection, one SIMD lane per Gaussian, and writing their gradients.
#pragma once

#include "cpu/simd/gaussian_lanes.h"
#include "raster/projection.h"

namespace gsplat::GSPLAT_ISA {

// How each shape is read from, and its gradient added to, the arrays of the scene.
template <template <class> class Shape>
struct ShapeArrays;

template <>
struct ShapeArrays<ScaledRotation> {
  static ScaledRotation<Float> load(const GaussianInputs& in, int64_t row, int count) {
    const auto q = LaneBlock<4>::load(in.quats + 4 * row, 4, count);
    return {{q[0], q[1], q[2], q[3]}, load_vec3(in.scales + 3 * row, 3, count)};
  }
  static ScaledRotation<Float> zero() {
    const Float o(0.0f);
    return {{o, o, o, o}, {o, o, o}};
  }
  static void add(ScaledRotation<Float>& sum, LaneMask m, const ScaledRotation<Float>& v) {
    sum.quaternion.w += zero_unless(m, v.quaternion.w);
    sum.quaternion.x += zero_unless(m, v.quaternion.x);
    sum.quaternion.y += zero_unless(m, v.quaternion.y);
    sum.quaternion.z += zero_unless(m, v.quaternion.z);
    sum.scales = sum.scales + zero_unless(m, v.scales);
  }
  static void store(const GaussianGrads& out, int64_t row, int count, const ScaledRotation<Float>& v) {
    LaneBlock<4> q;
    q.set(0, v.quaternion.w);
    q.set(1, v.quaternion.x);
    q.set(2, v.quaternion.y);
    q.set(3, v.quaternion.z);
    q.store(out.quats + 4 * row, 4, count);
    store_vec3(v.scales, out.scales + 3 * row, 3, count);
  }
};

template <>
struct ShapeArrays<GivenCovariance> {
  static GivenCovariance<Float> load(const GaussianInputs& in, int64_t row, int count) {
    const auto c = LaneBlock<6>::load(in.covars + 6 * row, 6, count);
    return {{c[0], c[1], c[2], c[3], c[4], c[5]}};
  }
  static GivenCovariance<Float> zero() {
    const Float o(0.0f);
    return {{o, o, o, o, o, o}};
  }
  static void add(GivenCovariance<Float>& sum, LaneMask m, const GivenCovariance<Float>& v) {
    sum.sigma.xx += zero_unless(m, v.sigma.xx);
    sum.sigma.xy += zero_unless(m, v.sigma.xy);
    sum.sigma.xz += zero_unless(m, v.sigma.xz);
    sum.sigma.yy += zero_unless(m, v.sigma.yy);
    sum.sigma.yz += zero_unless(m, v.sigma.yz);
    sum.sigma.zz += zero_unless(m, v.sigma.zz);
  }
  static void store(const GaussianGrads& out, int64_t row, int count, const GivenCovariance<Float>& v) {
    LaneBlock<6> c;
    c.set(0, v.sigma.xx);
    c.set(1, v.sigma.xy);
    c.set(2, v.sigma.xz);
    c.set(3, v.sigma.yy);
    c.set(4, v.sigma.yz);
    c.set(5, v.sigma.zz);
    c.store(out.covars + 6 * row, 6, count);
  }
};

template <template <class> class Shape>
Gaussian<Float, Shape> load_gaussians(const GaussianInputs& in, int64_t row, int count) {
  const auto opacity = LaneBlock<1>::load(in.opacities + row, 1, count);
  return {load_vec3(in.means + 3 * row, 3, count), ShapeArrays<Shape>::load(in, row, count), opacity[0]};
}

}  // namespace gsplat::GSPLAT_ISA
