// What the rows of a scene come to before a camera sees them, and colours by direction.
#pragma once

#include "lists.h"
#include "math/anchors.h"
#include "math/directional.h"
#include "math/ellipsoid.h"
#include "math/spherical_harmonics.h"

namespace formulas {

// A Gaussian of a radiative field: its sum over some voxels, with weights.
Formula voxel_formula() {
  struct Voxel {
    double x, y, z, weight;
  };
  static constexpr Voxel kVoxels[] = {
      {0.3, 0.1, -0.2, 1.3}, {-0.1, 0.4, 0.2, -0.7}, {0.2, -0.3, 0.5, 0.4}, {-0.4, -0.2, -0.3, 0.9}};
  static constexpr double kSpacing[] = {0.2, 0.3, 0.25};
  const auto visit = []<class T>(const Gaussian<T, ScaledRotation>& g, auto&& add) {
    const Vec3<T> spacing = {T(kSpacing[0]), T(kSpacing[1]), T(kSpacing[2])};
    const auto e = gsplat::ellipsoid(g, {T(-1.0), T(-1.0), T(-1.0)}, spacing, gsplat::log2(g.opacity));
    for (const Voxel& voxel : kVoxels) {
      const T dx = T((voxel.x + 1) / kSpacing[0]) - e.mean.x, dy = T((voxel.y + 1) / kSpacing[1]) - e.mean.y;
      const T dz = T((voxel.z + 1) / kSpacing[2]) - e.mean.z;
      const T u = e.zz * dz + e.zy * dy + e.zx * dx, v = e.yy * dy + e.yx * dx, w = e.xx * dx;
      add(u, v, w, T(voxel.weight) * gsplat::exp2(e.log2_opacity - u * u - v * v - w * w));
    }
  };
  return formula(
      [=]<class T>(const ListOf<T>& x) {
        T sum(0.0);
        visit(Reader<T>(x).template take<Gaussian<T, ScaledRotation>>(),
              [&](const T&, const T&, const T&, const T& value) { sum = sum + value; });
        return flat<T>(sum);
      },
      [=](const List& x, const List& v_sum) {
        const auto g = Reader<double>(x).take<Gaussian<double, ScaledRotation>>();
        gsplat::EllipsoidMoments<double> m = {};
        visit(g, [&](double u, double v, double w, double value) {
          const double e = v_sum[0] * value;
          m.e += e;
          m.eu += e * u;
          m.ev += e * v;
          m.ew += e * w;
          m.euu += e * u * u;
          m.euv += e * u * v;
          m.euw += e * u * w;
          m.evv += e * v * v;
          m.evw += e * v * w;
          m.eww += e * w * w;
        });
        return flat(gsplat::ellipsoid_vjp(g, m));
      });
}

Formula sh_formula(int degree) {
  return formula(
      [=]<class T>(const ListOf<T>& x) {
        ListOf<T> b(gsplat::sh_bases(degree));
        gsplat::sh_basis(degree, Reader<T>(x).template take<Vec3<T>>(), b.data());
        return b;
      },
      [=](const List& x, const List& v) {
        return flat(gsplat::sh_basis_vjp(degree, Reader(x).take<Vec3<double>>(), v.data()));
      });
}

// The Gaussian and the camera's centre are variables; the place matters through the direction alone.
Formula directional_formula() {
  static const double falloff = 0.35;
  return formula(
      []<class T>(const ListOf<T>& x) {
        Reader<T> in(x);
        const auto g = in.template take<gsplat::DirectionalGaussian<T>>();
        const auto slice = gsplat::directional_slice(g, in.template take<Vec3<T>>(), T(falloff));
        return flat<T>(slice.shift, slice.factor);
      },
      [](const List& x, const List& v) {
        Reader<double> in(x), out(v);
        const auto g = in.take<gsplat::DirectionalGaussian<double>>();
        const auto centre = in.take<Vec3<double>>(), v_shift = out.take<Vec3<double>>();
        double factor;
        const auto v_g = gsplat::directional_slice_vjp(g, centre, falloff, v_shift, out.take(), factor);
        return flat(v_g, -1.0 * v_g.place);
      });
}

// The frame is a constant: a rotation whose matrix is not symmetric.
template <class T>
gsplat::DecoderFrame<T> decoder_frame() {
  const Quaternion<double> q = {0.5, -0.1, 0.7, 0.5};
  const Mat3<double> rotation = gsplat::rotation_matrix(q),
                     inverse = gsplat::rotation_matrix(Quaternion<double>{q.w, -q.x, -q.y, -q.z});
  const Quaternion<double> turn = gsplat::quaternion_of(inverse);
  gsplat::DecoderFrame<T> frame;
  for (int i = 0; i < 9; ++i) frame.rotation.m[i / 3][i % 3] = T(rotation.m[i / 3][i % 3]);
  frame.inverse = {T(turn.w), T(turn.x), T(turn.y), T(turn.z)};
  return frame;
}

Formula decoded_splat_formula() {
  return formula(
      []<class T>(const ListOf<T>& x) {
        Reader<T> in(x);
        const auto anchor = in.template take<gsplat::Anchor<T>>();
        return flat<T>(
            gsplat::decode_splat(decoder_frame<T>(), anchor, in.template take<gsplat::EncodedSplat<T>>()));
      },
      [](const List& x, const List& v) {
        Reader<double> in(x), out(v);
        const auto anchor = in.take<gsplat::Anchor<double>>();
        const auto splat = in.take<gsplat::EncodedSplat<double>>();
        gsplat::Anchor<double> v_anchor = {};
        const auto v_splat = gsplat::decode_splat_vjp(decoder_frame<double>(), anchor, splat,
                                                      out.take<gsplat::DecodedSplat<double>>(), v_anchor);
        return flat(v_anchor, v_splat);
      });
}

Formula anchor_direction_formula() {
  return formula(
      []<class T>(const ListOf<T>& x) {
        return flat<T>(gsplat::anchor_direction(decoder_frame<T>(), Reader<T>(x).template take<Vec3<T>>()));
      },
      [](const List& x, const List& v) {
        const auto from_camera = Reader<double>(x).take<Vec3<double>>(),
                   along = Reader<double>(v).take<Vec3<double>>();
        return flat(gsplat::anchor_direction_vjp(decoder_frame<double>(), from_camera, along));
      });
}

}  // namespace formulas
