// One surfel seen by one camera (2D Gaussian Splatting, Huang et al. 2024): what pixels need of it
// (math/response/surfel.h), where its low-pass filter lies and where in the image it is seen, and back.
//
// The plane's point p + s a + t b, in the camera, has the slopes
//
//     (x, y) + (s A + t B) / (p.z + s a.z + t b.z)    with    (x, y) = (p.x, p.y) / p.z,
//     A = (a.x - x a.z, a.y - y a.z) and B likewise,
//
// so the disc s^2 + t^2 <= q, if all of it is in front of the camera, S = p.z^2 - q (a.z^2 + b.z^2) > 0, has
// an ellipse as its image: around (x, y) + c, with the matrix
//
//     c c^T + q / S (A A^T + B B^T),    c = -q / S (a.z A + b.z B).
//
// This is the dual conic T diag(q, q, -1) T^T of the paper's T = K [a, b, p], in coordinates in which nothing
// cancels.
#pragma once

#include "math/camera/pinhole.h"
#include "math/ellipse.h"
#include "math/project.h"

GSPLAT_MATH_BEGIN

template <class T>
using Surfel = Gaussian<T, ScaledRotation>;

// The filter is around the middle of the box of three standard deviations, squared (supplement).
inline constexpr double kFilterLevel = 9.0;
// Scene units. What is smaller counts as this large: LEAST_SCALE of gsplat_core/render/rays.py.
inline constexpr double kLeastAxis = 1e-9;

// What depends on its parameters differentiably.
template <class T>
struct SeenSurfel {
  Vec3<T> first, second;  // axes in the world, as long as the standard deviations
  Vec3<T> offset;         // of the centre from that of the camera, in the world
  Vec2<T> middle;         // of the filter, pixels
  T depth;
};

// A surfel in the camera, in the notation above.
template <class T>
struct SurfelInCamera {
  Mat3<T> axes;  // in the world: the first two columns are the directions of a and b
  Vec3<T> a, b, p;
  T inverse_z;
  Vec2<T> slopes, A, B;
  Vec2<T> bent;    // a.z A + b.z B
  T in_front;      // S of the level of the filter ...
  T pull;          // ... and -q / S, or zero if a part is behind the camera: then it is around the centre
  Vec2<T> middle;  // slopes
  T length_a, length_b;

  GSPLAT_HD SurfelInCamera(const Camera<T, Pinhole>& camera, const Surfel<T>& g) {
    axes = precise_rotation(g.shape.quaternion);
    length_a = max(g.shape.scales.x, T(kLeastAxis));
    length_b = max(g.shape.scales.y, T(kLeastAxis));
    p = to_camera(camera, g.mean);
    a = multiply(camera.rotation, first());
    b = multiply(camera.rotation, second());
    inverse_z = T(1.0) / p.z;
    slopes = {p.x * inverse_z, p.y * inverse_z};
    A = {fma(-slopes.x, a.z, a.x), fma(-slopes.y, a.z, a.y)};
    B = {fma(-slopes.x, b.z, b.x), fma(-slopes.y, b.z, b.y)};
    bent = {fma(a.z, A.x, b.z * B.x), fma(a.z, A.y, b.z * B.y)};
    in_front = before(T(kFilterLevel));
    const Mask<T> whole = in_front > T(0.0);
    pull = select(whole, T(-kFilterLevel) / select(whole, in_front, T(1.0)), T(0.0));
    middle = {fma(pull, bent.x, slopes.x), fma(pull, bent.y, slopes.y)};
  }

  GSPLAT_HD Vec3<T> first() const { return column(0, length_a); }
  GSPLAT_HD Vec3<T> second() const { return column(1, length_b); }

  // S of a level.
  GSPLAT_HD T before(const T& q) const { return fma(-q, fma(a.z, a.z, b.z * b.z), p.z * p.z); }

private:
  // rotation_matrix(), whose entries have one factor for all: its rounding turns no plane. Where a pixel
  // meets one that it sees from the side depends on its last bits.
  GSPLAT_HD static Mat3<T> precise_rotation(const Quaternion<T>& q) {
    const T ww = q.w * q.w, xx = q.x * q.x, yy = q.y * q.y, zz = q.z * q.z;
    const T scale = T(1.0) / ((ww + xx) + (yy + zz)), two = scale + scale;
    return {
        {{scale * ((ww - zz) + (xx - yy)), two * fma(q.x, q.y, -(q.w * q.z)), two * fma(q.x, q.z, q.w * q.y)},
         {two * fma(q.x, q.y, q.w * q.z), scale * ((ww - zz) + (yy - xx)), two * fma(q.y, q.z, -(q.w * q.x))},
         {two * fma(q.x, q.z, -(q.w * q.y)), two * fma(q.y, q.z, q.w * q.x),
          scale * ((ww - xx) + (zz - yy))}}};
  }
  GSPLAT_HD Vec3<T> column(int i, const T& length) const {
    return {length * axes.m[0][i], length * axes.m[1][i], length * axes.m[2][i]};
  }
};

template <class T>
GSPLAT_HD SeenSurfel<T> seen_surfel(const Camera<T, Pinhole>& camera, const Surfel<T>& g,
                                    const SurfelInCamera<T>& s) {
  const T* k = camera.params;
  return {s.first(),
          s.second(),
          g.mean + multiply_transposed(camera.rotation, camera.translation),
          {fma(k[0], s.middle.x, k[2]), fma(k[1], s.middle.y, k[3])},
          s.p.z};
}

// The gradient of the surfel, without its opacity, from those of what is seen of it; and, added to v_camera,
// that of the camera.
template <class T>
GSPLAT_HD Surfel<T> seen_surfel_vjp(const Camera<T, Pinhole>& camera, const Surfel<T>& g,
                                    const SeenSurfel<T>& v, CameraGrad<T, Pinhole>& v_camera) {
  const SurfelInCamera<T> s(camera, g);
  const T *k = camera.params, zero(0.0), two(2.0);
  T* v_k = v_camera.params;
  v_k[0] = fma(s.middle.x, v.middle.x, v_k[0]);
  v_k[1] = fma(s.middle.y, v.middle.y, v_k[1]);
  v_k[2] = v_k[2] + v.middle.x;
  v_k[3] = v_k[3] + v.middle.y;

  // The middle is slopes + pull bent, of which the pull is -level / in_front.
  const T v_x = k[0] * v.middle.x, v_y = k[1] * v.middle.y;
  const Vec2<T> v_bent = {s.pull * v_x, s.pull * v_y};
  const T v_pull = fma(s.bent.x, v_x, s.bent.y * v_y);
  const Mask<T> whole = s.in_front > zero;
  const T v_front = zero_unless(whole, -(v_pull * s.pull) / select(whole, s.in_front, T(1.0)));
  const T turned = T(-2.0 * kFilterLevel) * v_front;
  const T towards_a = fma(v_bent.x, s.slopes.x, v_bent.y * s.slopes.y);
  Vec3<T> v_a = {v_bent.x * s.a.z, v_bent.y * s.a.z, zero}, v_b = {v_bent.x * s.b.z, v_bent.y * s.b.z, zero};
  v_a.z = fma(turned, s.a.z, fma(v_bent.x, s.A.x, v_bent.y * s.A.y)) - towards_a * s.a.z;
  v_b.z = fma(turned, s.b.z, fma(v_bent.x, s.B.x, v_bent.y * s.B.y)) - towards_a * s.b.z;
  const T flat = fma(s.a.z, s.a.z, s.b.z * s.b.z);
  const Vec2<T> v_slopes = {fma(-flat, v_bent.x, v_x), fma(-flat, v_bent.y, v_y)};
  const Vec3<T> v_p = {v_slopes.x * s.inverse_z, v_slopes.y * s.inverse_z,
                       fma(two * s.p.z, v_front, v.depth) -
                           s.inverse_z * fma(v_slopes.x, s.slopes.x, v_slopes.y * s.slopes.y)};

  // All of it is turned into the camera, and the offset back.
  const Vec3<T> first = s.first(), second = s.second();
  const Vec3<T> v_first = v.first + multiply_transposed(camera.rotation, v_a);
  const Vec3<T> v_second = v.second + multiply_transposed(camera.rotation, v_b);
  const Vec3<T>& t = camera.translation;
  const Vec3<T> rows[3] = {v_a.x * first + v_b.x * second + v_p.x * g.mean + t.x * v.offset,
                           v_a.y * first + v_b.y * second + v_p.y * g.mean + t.y * v.offset,
                           v_a.z * first + v_b.z * second + v_p.z * g.mean + t.z * v.offset};
  for (int i = 0; i < 3; ++i) {
    T* row = v_camera.rotation.m[i];
    row[0] = row[0] + rows[i].x;
    row[1] = row[1] + rows[i].y;
    row[2] = row[2] + rows[i].z;
  }
  v_camera.translation = v_camera.translation + v_p + multiply(camera.rotation, v.offset);

  const T ones[3] = {v_first.x, v_first.y, v_first.z}, others[3] = {v_second.x, v_second.y, v_second.z};
  Mat3<T> v_axes;
  T v_length_a = zero, v_length_b = zero;
  for (int i = 0; i < 3; ++i) {
    v_length_a = fma(s.axes.m[i][0], ones[i], v_length_a);
    v_length_b = fma(s.axes.m[i][1], others[i], v_length_b);
    v_axes.m[i][0] = s.length_a * ones[i];
    v_axes.m[i][1] = s.length_b * others[i];
    v_axes.m[i][2] = zero;
  }
  const Vec3<T>& scales = g.shape.scales;
  return {v.offset + multiply_transposed(camera.rotation, v_p),
          {rotation_matrix_vjp(g.shape.quaternion, v_axes),
           {zero_unless(scales.x >= T(kLeastAxis), v_length_a),
            zero_unless(scales.y >= T(kLeastAxis), v_length_b), zero}},
          zero};
}

// Where to look for a surfel. No argument of its rendering.
template <class T>
struct SurfelBounds {
  T l11, l21, l22;       // root of the conic of an ellipse around the middle, of the level of its opacity
  T radius_x, radius_y;  // half the size of its box, rounded up to pixels
  Mask<T> visible;
};

// The least ellipse known around the middle of the filter that holds all pixels in which alpha reaches 1/255.
//
// The disc's and the circle of the filter lie in the ellipse of the disc's axes that are no shorter than the
// circle's. Moved by d to the middle, an ellipse of the matrix M lies in that of (1 + m) (M + d d^T / m),
// with m^2 = d^T M^-1 d, whose determinant is (1 + m)^3 |M|. No determinant is a difference here, either.
template <class T>
GSPLAT_HD SurfelBounds<T> surfel_bounds(const Camera<T, Pinhole>& camera, const Surfel<T>& g,
                                        const ProjectOptions<T>& options, const SurfelInCamera<T>& s,
                                        const SeenSurfel<T>& seen) {
  const T zero(0.0), one(1.0), *k = camera.params;
  const T q = gaussian_level(g.opacity), S = s.before(q), z2 = s.p.z * s.p.z;
  // Where only a part is in front, it may be seen anywhere.
  const Mask<T> in_front = S > T(1e-4) * z2;
  const T safe = select(in_front, S, one), scale = q / safe;
  const Vec2<T> a = {k[0] * s.A.x, k[1] * s.A.y}, b = {k[0] * s.B.x, k[1] * s.B.y};
  const Vec2<T> bent = {k[0] * s.bent.x, k[1] * s.bent.y};
  const Vec2<T> c = {-(scale * bent.x), -(scale * bent.y)};
  const Vec2<T> d = {c.x - s.pull * bent.x, c.y - s.pull * bent.y};
  const T xx = fma(scale, fma(a.x, a.x, b.x * b.x), c.x * c.x);
  const T xy = fma(scale, fma(a.x, a.y, b.x * b.y), c.x * c.y);
  const T yy = fma(scale, fma(a.y, a.y, b.y * b.y), c.y * c.y);
  // The longer axis, of the length 1.
  const T half = T(0.5), h = half * (xx - yy), size = half * (xx + yy), r = sqrt(fma(h, h, xy * xy));
  const T along = r + abs(h), length = sqrt(T(2.0) * r * along);
  const Mask<T> wide = h >= zero, oblong = length > T(1e-30);
  const T by_length = select(oblong, one / select(oblong, length, one), zero);
  const T ex = select(oblong, by_length * select(wide, along, xy), one);
  const T ey = by_length * select(wide, xy, along);
  // And what rounding may do, to S more than to anything else.
  const T rounding = fma(T(1e-5) + T(1e-6) * (z2 / safe), size, T(0.1)), circle = half * q;
  const T longer = max(size + r, circle) + rounding, shorter = max(size - r, circle) + rounding;
  const T disc_xx = fma(longer * ex, ex, shorter * ey * ey),
          disc_yy = fma(longer * ey, ey, shorter * ex * ex);
  const T disc_xy = (longer - shorter) * ex * ey, det = longer * shorter;
  const T d_along = fma(d.x, ex, d.y * ey), d_across = fma(d.x, ey, -(d.y * ex));
  const T squared = fma(shorter * d_along, d_along, longer * d_across * d_across);
  const T m = sqrt(squared / det), more = one + m, by_m = one / max(m, T(1e-12));
  const T huge(1e36);
  const Mask<T> known = in_front & (det < huge) & (squared < huge) & (xx < T(1e18)) & (yy < T(1e18));

  const Vec2<T>& middle = seen.middle;
  const T far = T(2.0) * (abs(middle.x - half * camera.width) + abs(middle.y - half * camera.height)) +
                camera.width + camera.height;
  const T far2 = far * far;
  const T mxx = select(known, more * fma(d.x * by_m, d.x, disc_xx), far2);
  const T mxy = select(known, more * fma(d.x * by_m, d.y, disc_xy), zero);
  const T myy = select(known, more * fma(d.y * by_m, d.y, disc_yy), far2);
  const T root_det = select(known, more * sqrt(more * det), far2);
  const T root_q = sqrt(max(q, zero)), root_yy = sqrt(myy);
  const T half_x = sqrt(mxx), largest(1073741824.0);
  SurfelBounds<T> result;
  result.l11 = root_q * root_yy / root_det;
  result.l21 = -(root_q * mxy) / (root_yy * root_det);
  result.l22 = root_q / root_yy;
  result.radius_x = -floor(-min(half_x, largest));
  result.radius_y = -floor(-min(root_yy, largest));

  // Every comparison is false for NaN and one of them for infinities.
  const auto length_of = [](const Vec3<T>& v) { return abs(v.x) + abs(v.y) + abs(v.z); };
  const T numbers = length_of(seen.first) + length_of(seen.second) + length_of(seen.offset) + length_of(s.p) +
                    abs(g.shape.scales.x) + abs(g.shape.scales.y) + abs(middle.x) + abs(middle.y);
  result.visible = (numbers < T(1e15)) & (seen.depth > options.near_plane) & (seen.depth > zero) &
                   (seen.depth < options.far_plane) & (q > zero) & (g.opacity < T(1e30)) &
                   ((half_x > options.radius_clip) | (root_yy > options.radius_clip)) &
                   (middle.x + half_x > zero) & (middle.x - half_x < camera.width) &
                   (middle.y + root_yy > zero) & (middle.y - root_yy < camera.height);
  return result;
}

GSPLAT_MATH_END
