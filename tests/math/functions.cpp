// The formulas of csrc/math that have no derivative in forward and reverse mode: each as a function of a list
// of numbers that writes a list of numbers. Those of single precision round what they are given.
#include "math/adam.h"
#include "math/arrangements.h"
#include "math/camera/pinhole.h"
#include "math/cholesky.h"
#include "math/compositor/over.h"
#include "math/ellipse.h"
#include "math/forward_mode.h"
#include "math/gauss_newton.h"
#include "math/payload/color.h"
#include "math/project.h"
#include "math/quaternion.h"
#include "math/relocation.h"
#include "math/response/gaussian.h"
#include "math/sgld_noise.h"
#include "math/sightings.h"
#include "math/ssim.h"
#include "raster/payloads.h"

using namespace gsplat;

namespace {

template <class T>
Vec3<T> vec3(const double* x) {
  return {T(x[0]), T(x[1]), T(x[2])};
}

template <class T>
void write(const Vec3<T>& v, double* out) {
  out[0] = v.x;
  out[1] = v.y;
  out[2] = v.z;
}

void write(const Random4& numbers, double* out) {
  for (int i = 0; i < 4; ++i) out[i] = numbers.x[i];
}

uint64_t number64(const double* low_high) {
  return static_cast<uint64_t>(low_high[1]) << 32 | static_cast<uint64_t>(low_high[0]);
}

SsimDerivatives<double> ssim_derivatives(const double* x) { return {x[0], x[1], x[2]}; }

void write(const SsimDerivatives<double>& by, double* out) {
  out[0] = by.mean;
  out[1] = by.variance;
  out[2] = by.covariance;
}

Ellipse<double> ellipse(const double* x) { return Ellipse<double>(x[0], x[1], x[2], gaussian_level(x[3])); }

template <class T>
void scalars(const double* x, double* out) {
  const T a = T(x[0]), b = T(x[1]), c = T(x[2]);
  const T all[] = {gsplat::select(a < b, a, b),
                   gsplat::min(a, b),
                   gsplat::max(a, b),
                   gsplat::abs(a),
                   gsplat::sqrt(gsplat::abs(a)),
                   gsplat::floor(a),
                   gsplat::fraction(a),
                   gsplat::zero_unless(a < b, c),
                   gsplat::fma(a, b, c),
                   gsplat::reciprocal(a * a + T(1.0))};
  for (int i = 0; i < 10; ++i) out[i] = all[i];
}

// Camera 18 (rotation row by row, translation, fx, fy, cx, cy, width, height), then a Gaussian 11 (mean,
// quaternion, scales, opacity).
template <class T>
struct View {
  Camera<T, Pinhole> camera;
  Gaussian<T, ScaledRotation> gaussian;
};

View<double> view(const double* x) {
  View<double> result;
  static_assert(sizeof(result) == 29 * sizeof(double));
  memcpy(static_cast<void*>(&result), x, sizeof(result));
  return result;
}

// Two payloads around one whose sums nobody may want.
using SomePayloads = Payloads<Color<3>, AbsGrad, Statistics>;

float*& sums_of(CompositeGrads& grads, PayloadName payload) {
  return grads.payloads[static_cast<int>(payload)];
}

}  // namespace

extern "C" {

// a, b, c -> what test_scalar.py lists, in double and in single precision
void scalars64(const double* x, double* out) { scalars<double>(x, out); }
void scalars32(const double* x, double* out) { scalars<float>(x, out); }

// value, power, mask -> value 2^floor(power), the same where the mask holds, mantissa, exponent
void exponents(const double* x, double* out) {
  const float value = static_cast<float>(x[0]), power = static_cast<float>(x[1]);
  out[0] = scale_by_floor_exp2(value, power);
  out[1] = scale_by_floor_exp2_where(x[2] != 0, value, power);
  float mantissa, exponent;
  split_exponent(value, mantissa, exponent);
  out[2] = mantissa;
  out[3] = exponent;
}

// state 3, gradient, step 7 -> state 3
void adam(const double* x, double* out) {
  float n[11];
  for (int i = 0; i < 11; ++i) n[i] = static_cast<float>(x[i]);
  const AdamState s = adam_update({n[0], n[1], n[2]}, n[3], {n[4], n[5], n[6], n[7], n[8], n[9], n[10]});
  out[0] = s.param;
  out[1] = s.exp_avg;
  out[2] = s.exp_avg_sq;
}

// arrangement, thing -> place
void arrangement(const double* x, double* out) {
  out[0] = arranged(static_cast<int>(x[0]), static_cast<int>(x[1]));
}

// upper triangle of 4 rows 10, added to the diagonal 4, right-hand side 4 -> factor 10, solution 4
void solve4(const double* x, double* out) {
  for (int i = 0; i < 10; ++i) out[i] = x[i];
  for (int i = 0; i < 4; ++i) out[10 + i] = x[14 + i];
  cholesky<4>(out, x + 10);
  solve_factored<4>(out, out + 10);
}

// root 3, opacity -> half sizes 2, dy of the rightmost point, level
void ellipse_sizes(const double* x, double* out) {
  const Ellipse<double> e = ellipse(x);
  out[0] = e.half_x;
  out[1] = e.half_y;
  out[2] = e.rightmost_dy;
  out[3] = e.level;
}

// scaled root 3, log2 of the opacity -> the same
void ellipse_sizes_of_shape(const double* x, double* out) {
  const SplatShape<double> shape = {x[0], x[1], x[2], x[3]};
  const Ellipse<double> e = scaled_ellipse<GaussianResponse>(shape, x);
  out[0] = e.half_x;
  out[1] = e.half_y;
  out[2] = e.rightmost_dy;
  out[3] = e.level;
}

// root 3, opacity, low, high -> left, right
void ellipse_span(const double* x, double* out) { ellipse(x).span(x[4], x[5], out[0], out[1]); }

// root 3, opacity, left, right, top, bottom -> whether it touches
void ellipse_touches(const double* x, double* out) { out[0] = ellipse(x).touches(x[4], x[5], x[6], x[7]); }

// low, high, count -> first, last
void pixel_range(const double* x, double* out) {
  const PixelRange<double> range(x[0], x[1], x[2]);
  out[0] = range.first;
  out[1] = range.last;
}

// opacity, copies -> opacity, ratio of scales
void relocation(const double* x, double* out) {
  const Relocated<double> r = relocated(x[0], static_cast<int>(x[1]));
  out[0] = r.opacity;
  out[1] = r.scale_ratio;
}

// room, count of weights, weights -> how many are listed, what the next has to exceed, numbers room, weights
// room
void heaviest_of_list(const double* x, double* out) {
  const int room = static_cast<int>(x[0]), given = static_cast<int>(x[1]);
  int32_t ids[16];
  float weights[16];
  int count = 0;
  float exceed = 0.0f;
  for (int i = 0; i < given; ++i) {
    const float weight = static_cast<float>(x[2 + i]);
    if (weight > exceed) exceed = keep_heaviest(ids, weights, room, count, i, weight);
  }
  out[0] = count;
  out[1] = exceed;
  for (int i = 0; i < room; ++i) {
    out[2 + i] = i < count ? ids[i] : -1;
    out[2 + room + i] = i < count ? weights[i] : 0;
  }
}

// counter 4, key in two halves, the lower first -> numbers 4
void random4(const double* x, double* out) {
  Random4 counter;
  for (int i = 0; i < 4; ++i) counter.x[i] = static_cast<uint32_t>(x[i]);
  write(philox(counter, number64(x + 4)), out);
}

// row, seed and step in halves -> numbers 4
void random4_of_row(const double* x, double* out) {
  write(noise_numbers(number64(x), number64(x + 2), number64(x + 4)), out);
}

void uniform1(const double* x, double* out) { out[0] = uniform(static_cast<uint32_t>(x[0])); }

// uniform numbers 2 -> normal numbers 2
void normal2(const double* x, double* out) {
  float first, second;
  normals(static_cast<float>(x[0]), static_cast<float>(x[1]), first, second);
  out[0] = first;
  out[1] = second;
}

// uniform numbers 4 -> normal numbers 3
void normal3(const double* x, double* out) {
  const float uniforms[4] = {static_cast<float>(x[0]), static_cast<float>(x[1]), static_cast<float>(x[2]),
                             static_cast<float>(x[3])};
  write(normal_vector(uniforms), out);
}

// opacity, steepness, threshold -> gate
void gate(const double* x, double* out) { out[0] = noise_gate(x[0], x[1], x[2]); }

// mean 3, scale 3, strength -> whether it stays
void in_place(const double* x, double* out) {
  out[0] = stays_in_place(vec3<float>(x), vec3<float>(x + 3), static_cast<float>(x[6]));
}

// quaternion 4, scale 3, normal vector 3 -> noise 3
void noise(const double* x, double* out) {
  write(sgld_noise(Quaternion<double>{x[0], x[1], x[2], x[3]}, vec3<double>(x + 4), vec3<double>(x + 7)),
        out);
}

void window(const double* x, double* out) { out[0] = ssim_window(static_cast<int>(x[0])); }

// nothing -> how far the window reaches, its taps
void window_size(const double*, double* out) {
  out[0] = kSsimRadius;
  out[1] = kSsimTaps;
}

// moments 4, pivot -> value, derivatives 3
void ssim(const double* x, double* out) {
  const Ssim<double> s({x[0], x[1], x[2], x[3]}, static_cast<float>(x[4]));
  out[0] = s.value;
  write(s.derivatives(), out + 1);
}

// derivatives 3, change of the pivot -> derivatives 3
void ssim_other_pivot(const double* x, double* out) {
  write(with_other_pivot(ssim_derivatives(x), x[3]), out);
}

// filtered derivatives 3, both pixels -> gradient
void ssim_gradient(const double* x, double* out) {
  out[0] = ssim_pixel_gradient(ssim_derivatives(x), x[3], x[4]);
}

// both pixels, scale -> gradient
void l1_gradient(const double* x, double* out) {
  out[0] = l1_pixel_gradient(x[0], x[1], static_cast<float>(x[2]));
}

// (u, v) -> monomials 15
void monomials15(const double* x, double* out) { monomials(x[0], x[1], out); }

// nothing -> monomials of degree 4, moments of a splat, numbers of a geometry, entries of its symmetric
// matrix
void moment_sizes(const double*, double* out) {
  out[0] = kQuartic;
  out[1] = kSplatMoments;
  out[2] = kGeometry;
  out[3] = kGeometryPairs;
}

// weights 3, derivatives of the colours 3, blending weight -> alpha, color 3, mixed 3
void moments_of_pixel(const double* x, double* out) {
  const PixelMoments<double> m = pixel_moments(x, x + 3, x[6]);
  out[0] = m.alpha;
  for (int c = 0; c < 3; ++c) {
    out[1 + c] = m.color[c];
    out[4 + c] = m.mixed[c];
  }
}

// moments 36, two influences of 6 and 3 -> their product
void quadratic_form(const double* x, double* out) {
  Influence<double> a, b;
  for (int i = 0; i < 6; ++i) {
    a.log_alpha[i] = x[36 + i];
    b.log_alpha[i] = x[45 + i];
  }
  for (int c = 0; c < 3; ++c) {
    a.color[c] = x[42 + c];
    b.color[c] = x[51 + c];
  }
  out[0] = dot(a, multiply_moments(x, b));
}

// scaled root 3, log2 of the opacity, e, u, v -> by the mean's x and y
void mean_gradient_of_pixel(const double* x, double* out) {
  const Vec2<double> g = scaled_mean_vjp(SplatShape<double>{x[0], x[1], x[2], x[3]}, x[4], x[5], x[6]);
  out[0] = g.x;
  out[1] = g.y;
}

// View 29, eps2d, near, far, least radius, whether antialiased, level -> whether visible, radii 2, depth,
// opacity
void projected_splat(const double* x, double* out) {
  const auto [camera, gaussian] = view(x);
  const auto s =
      project(camera, gaussian, ProjectOptions<double>{x[29], x[30], x[31], x[32], x[33] != 0}, x[34]);
  out[0] = s.visible;
  out[1] = s.radius_x;
  out[2] = s.radius_y;
  out[3] = s.depth;
  out[4] = s.opacity;
}

// View 29, its tangent 29, eps2d, whether the camera stands still -> tangents of mean 2, root 3, opacity
void moving_splat(const double* x, double* out) {
  const auto [camera, gaussian] = view(x);
  const auto [camera_tangent, gaussian_tangent] = view(x + 29);
  const auto moving = x[59] != 0 ? constant_camera(camera) : moving_camera(camera, camera_tangent);
  const auto options = constants(ProjectOptions<double>{x[58], 0.01, 1e10, 0.0, true});
  const auto s = project(moving, moving_gaussian(gaussian, gaussian_tangent), options);
  const Dual<double> all[] = {s.mean.x, s.mean.y, s.l11, s.l21, s.l22, s.opacity};
  for (int i = 0; i < 6; ++i) out[i] = all[i].tangent;
}

// scaled root 3, log2 of the opacity, their tangents 4, offset 2, its tangent 2, whether uncapped -> alpha,
// its tangent
void moving_opacity(const double* x, double* out) {
  const SplatShape<Dual<double>> shape = {{x[0], x[4]}, {x[1], x[5]}, {x[2], x[6]}, {x[3], x[7]}};
  const Dual<double> dx = {x[8], x[10]}, dy = {x[9], x[11]};
  const double alpha = gsplat::exp2(response_at<GaussianResponse>(shape, &dx, dx, dy).power.value);
  const auto moving = moving_alpha<GaussianResponse>(alpha, x[12] != 0, shape, &dx, dx, dy);
  out[0] = moving.value;
  out[1] = moving.tangent;
}

// transmittance -> whether the pixel is finished
void finished(const double* x, double* out) { out[0] = Over::finished(x[0]); }

// whether absolute gradients and statistics are wanted 2, scaled root 3, log2 of the opacity, count of
// pixels, each with weight, color 3, gradient 3, sloped, u, v, blended, probe -> dL/dw of the last pixel, row
// of sums 8, then of the second of two splats: color 3, absolute gradient 2, statistics 3; then how many
// numbers the first has that are not zero
void payload_sums(const double* x, double* out) {
  const SplatShape<double> shape = {x[2], x[3], x[4], x[5]};
  SomePayloads::Sums<double> sums;
  double g = 0;
  for (int pixel = 0; pixel < static_cast<int>(x[6]); ++pixel) {
    const double* p = x + 7 + 12 * pixel;
    g = 0;
    sums.take(p[0], [&](int c) { return p[1 + c]; }, [&](int c) { return p[4 + c]; }, g);
    sums.see(shape, SeenPixel<double>{p[8], p[9], p[7], p[0], p[10], p[11]});
  }
  out[0] = g;
  static_assert(SomePayloads::kSums == 8);
  sums.list(out + 1);

  float row[8], colors[6] = {}, absolute[4] = {}, statistics[6] = {};
  for (int i = 0; i < 8; ++i) row[i] = static_cast<float>(out[1 + i]);
  CompositeGrads grads = {};
  grads.colors = colors;
  if (x[0] != 0) sums_of(grads, PayloadName::absgrad) = absolute;
  if (x[1] != 0) sums_of(grads, PayloadName::statistics) = statistics;
  SomePayloads::finish(row, grads, 3, 1);
  const float second[8] = {colors[3],   colors[4],     colors[5],     absolute[2],
                           absolute[3], statistics[3], statistics[4], statistics[5]};
  for (int i = 0; i < 8; ++i) out[9 + i] = second[i];
  const float first[8] = {colors[0],   colors[1],     colors[2],     absolute[0],
                          absolute[1], statistics[0], statistics[1], statistics[2]};
  out[17] = 0;
  for (int i = 0; i < 8; ++i) out[17] += first[i] != 0;
}

// sum -> its place: how far it lies from the first of its array, and the stride; 10 channels of 3 used
void payload_place(const double* x, double* out) {
  float colors[30], absolute[2], statistics[3];
  CompositeGrads grads = {};
  grads.colors = colors;
  sums_of(grads, PayloadName::absgrad) = absolute;
  sums_of(grads, PayloadName::statistics) = statistics;
  const int sum = static_cast<int>(x[0]);
  const SumPlace place = SomePayloads::place(grads, 10, sum);
  const float* array = sum < 3 ? colors : sum < 5 ? absolute : statistics;
  out[0] = static_cast<double>(place.base - array);
  out[1] = place.stride;
}

// whether absolute gradients and statistics are wanted 2 -> whether it suffices to sum up nothing, absolute
// gradients, all; then the sums of a splat, 2 and 3 ones, where they are finished in place
void payloads_wanted(const double* x, double* out) {
  float absolute[2] = {1, 1}, statistics[3] = {1, 1, 1};
  CompositeGrads grads = {};
  if (x[0] != 0) sums_of(grads, PayloadName::absgrad) = absolute;
  if (x[1] != 0) sums_of(grads, PayloadName::statistics) = statistics;
  out[0] = Payloads<>::suffice(grads);
  out[1] = Payloads<AbsGrad>::suffice(grads);
  out[2] = AllPayloads::suffice(grads);
  AllPayloads::finish_in_place(grads, 0);
  for (int i = 0; i < 2; ++i) out[3 + i] = absolute[i];
  for (int i = 0; i < 3; ++i) out[5 + i] = statistics[i];
}

}  // extern "C"
