// Slices of directional Gaussians, one thread per Gaussian.
#include "cuda/directional.h"
#include "math/directional.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 128;

__device__ Vec3<float> read3(const float* from) { return {from[0], from[1], from[2]}; }

__device__ void write3(const Vec3<float>& v, float* to) {
  to[0] = v.x;
  to[1] = v.y;
  to[2] = v.z;
}

__device__ DirectionalGaussian<float> read(const DirectionalArrays& in, int64_t i) {
  const float *q = in.lobe_quats + 4 * i, *x = in.slopes + 9 * i;
  return {read3(in.means + 3 * i),
          read3(in.directions + 3 * i),
          {q[0], q[1], q[2], q[3]},
          read3(in.lobe_scales + 3 * i),
          {{{x[0], x[1], x[2]}, {x[3], x[4], x[5]}, {x[6], x[7], x[8]}}}};
}

__global__ void __launch_bounds__(kThreads)
    slice_gaussians(DirectionalArrays in, DirectionalSlices out, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const DirectionalGaussian<float> g = read(in, i);
  const auto slice = directional_slice(g, read3(in.centre), in.falloff);
  write3(g.place + slice.shift, out.means + 3 * i);
  out.opacities[i] = in.opacities[i] * slice.factor;
}

__global__ void __launch_bounds__(kThreads)
    slice_gradients(DirectionalArrays in, DirectionalGradients v, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const Vec3<float> v_mean = read3(v.of_means + 3 * i);
  const float v_opacity = v.of_opacities[i];
  DirectionalGaussian<float> v_g = {};
  float factor = 0.0f;
  // What no camera sees has gradients of zero, and must not make more of them than that.
  if (v_mean.x != 0.0f || v_mean.y != 0.0f || v_mean.z != 0.0f || v_opacity != 0.0f) {
    v_g = directional_slice_vjp(read(in, i), read3(in.centre), in.falloff, v_mean,
                                in.opacities[i] * v_opacity, factor);
  }
  write3(v.through_means ? v_mean + v_g.place : v_mean, v.means + 3 * i);
  if (v.along != nullptr) write3(v_g.place, v.along + 3 * i);
  v.opacities[i] = v_opacity * factor;
  write3(v_g.direction, v.directions + 3 * i);
  write3(v_g.lobe_log_deviation, v.lobe_scales + 3 * i);
  float *q = v.lobe_quats + 4 * i, *x = v.slopes + 9 * i;
  q[0] = v_g.lobe_rotation.w;
  q[1] = v_g.lobe_rotation.x;
  q[2] = v_g.lobe_rotation.y;
  q[3] = v_g.lobe_rotation.z;
  for (int k = 0; k < 9; ++k) x[k] = v_g.slopes.m[k / 3][k % 3];
}

}  // namespace

void directional_slices(const DirectionalArrays& in, const DirectionalSlices& out, int64_t count,
                        Stream stream) {
  if (count == 0) return;
  slice_gaussians<<<blocks_of(kThreads, count), kThreads, 0, stream>>>(in, out, count);
  check_launch("slice_gaussians");
}

void directional_slices_backward(const DirectionalArrays& in, const DirectionalGradients& v, int64_t count,
                                 Stream stream) {
  if (count == 0) return;
  slice_gradients<<<blocks_of(kThreads, count), kThreads, 0, stream>>>(in, v, count);
  check_launch("slice_gradients");
}

}  // namespace gsplat::cuda
