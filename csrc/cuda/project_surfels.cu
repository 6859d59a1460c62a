// Projection of surfels, one thread each, in both modes.
#include "cuda/project_surfels.h"
#include "cuda/projection_kernels.cuh"
#include "math/forward_mode.h"
#include "math/surfel_projection.h"

namespace gsplat::cuda {
namespace {

constexpr int kCanonical = RayInputs::kCanonical;

__device__ void store_canonical(const Vec3<float>& first, const Vec3<float>& second,
                                const Vec3<float>& offset, const Vec2<float>& middle, float nearest,
                                float* row) {
  store_vec3(row, 0, first);
  store_vec3(row, 1, second);
  store_vec3(row, 2, offset);
  row[9] = middle.x;
  row[10] = middle.y;
  row[11] = nearest;
}

__global__ void __launch_bounds__(kProjectThreads)
    project_surfel(GaussianInputs in, RenderSettings settings, SurfelOutputs out) {
  const GaussianPlace<kProjectThreads> place(in.gaussians);
  if (!place.exists) return;
  const int64_t image = place.scene, splat = image * in.gaussians + place.gaussian;
  const auto camera = load_camera<float, Pinhole>(in, image);
  const auto g = load_gaussian<ScaledRotation>(in, image / in.cameras * in.gaussians + place.gaussian);
  const SurfelInCamera<float> surfel(camera, g);
  SeenSurfel<float> seen = seen_surfel(camera, g, surfel);
  SurfelBounds<float> b = surfel_bounds(camera, g, project_options<float>(settings), surfel, seen);
  if (!b.visible) {
    seen = {};
    b = {};
  }
  const SplatOutputs& splats = out.splats;
  splats.means2d[2 * splat] = seen.middle.x;
  splats.means2d[2 * splat + 1] = seen.middle.y;
  store_vec3(splats.shapes, splat, {b.l11, b.l21, b.l22});
  splats.depths[splat] = seen.depth;
  splats.opacities[splat] = b.visible ? g.opacity : 0.0f;
  splats.radii[2 * splat] = static_cast<int32_t>(b.radius_x);
  splats.radii[2 * splat + 1] = static_cast<int32_t>(b.radius_y);
  // Where the filter's centre lies is where it is looked for.
  store_canonical(seen.first, seen.second, seen.offset, {0.0f, 0.0f}, b.visible ? settings.near_plane : 0.0f,
                  out.canonical + kCanonical * splat);
}

// As project_gradients of projection_kernels.cuh.
template <bool kCamera>
__global__ void __launch_bounds__(kProjectThreads)
    surfel_gradients(GaussianInputs in, const int32_t* radii, SurfelGrads v, GaussianGrads out,
                     float* camera_sums) {
  const GaussianPlace<kProjectThreads> place(in.gaussians);
  const int64_t batch = place.scene, row = batch * in.gaussians + place.gaussian;
  Vec3<float> v_mean = {0.0f, 0.0f, 0.0f};
  auto v_shape = ShapeArrays<ScaledRotation>::zero();
  float v_opacity = 0.0f;
  for (int64_t c = 0; c < in.cameras; ++c) {
    const int64_t image = batch * in.cameras + c, splat = image * in.gaussians + place.gaussian;
    CameraGrad<float, Pinhole> v_camera = {};
    if (place.exists && is_visible(radii, splat)) {
      const float* canonical = v.canonical + kCanonical * splat;
      const SeenSurfel<float> v_seen = {load_vec3(canonical, 0),
                                        load_vec3(canonical, 1),
                                        load_vec3(canonical, 2),
                                        {canonical[9], canonical[10]},
                                        v.depths[splat]};
      const auto g = seen_surfel_vjp(load_camera<float, Pinhole>(in, image),
                                     load_gaussian<ScaledRotation>(in, row), v_seen, v_camera);
      v_mean = v_mean + g.mean;
      ShapeArrays<ScaledRotation>::add(v_shape, g.shape);
      v_opacity += v.opacities[splat];
    }
    if constexpr (kCamera) {
      constexpr int kSums = kCameraNumbers<Pinhole>;
      float sums[kSums];
      camera_numbers(v_camera, sums);
      const float sum = block_sums<kSums, kProjectThreads>(sums);
      const int64_t blocks = (in.gaussians + kProjectThreads - 1) / kProjectThreads;
      if (threadIdx.x < kSums) {
        camera_sums[(image * blocks + blockIdx.x % blocks) * kSums + threadIdx.x] = sum;
      }
    }
  }
  if (!place.exists) return;
  store_vec3(out.means, row, v_mean);
  ShapeArrays<ScaledRotation>::store(out, row, v_shape);
  out.opacities[row] = v_opacity;
}

__global__ void __launch_bounds__(kProjectThreads)
    surfel_tangents(GaussianInputs in, GaussianInputs tangents, const int32_t* radii, SurfelTangents out) {
  const GaussianPlace<kProjectThreads> place(in.gaussians);
  if (!place.exists) return;
  const int64_t image = place.scene, splat = image * in.gaussians + place.gaussian;
  const int64_t row = image / in.cameras * in.gaussians + place.gaussian;
  Vec3<float> first = {0.0f, 0.0f, 0.0f}, second = first, offset = first;
  Vec2<float> middle = {0.0f, 0.0f};
  float depth = 0.0f, opacity = 0.0f;
  if (is_visible(radii, splat)) {
    const auto camera =
        moving_camera(load_camera<float, Pinhole>(in, image), load_camera<float, Pinhole>(tangents, image));
    const auto g =
        moving_gaussian(load_gaussian<ScaledRotation>(in, row), load_gaussian<ScaledRotation>(tangents, row));
    const auto seen = seen_surfel(camera, g, SurfelInCamera<Dual<float>>(camera, g));
    const auto tangent = [](const Vec3<Dual<float>>& x) {
      return Vec3<float>{x.x.tangent, x.y.tangent, x.z.tangent};
    };
    first = tangent(seen.first);
    second = tangent(seen.second);
    offset = tangent(seen.offset);
    middle = {seen.middle.x.tangent, seen.middle.y.tangent};
    depth = seen.depth.tangent;
    opacity = g.opacity.tangent;
  }
  out.depths[splat] = depth;
  out.opacities[splat] = opacity;
  store_canonical(first, second, offset, middle, 0.0f, out.canonical + kCanonical * splat);
}

unsigned blocks_of_images(const GaussianInputs& in) {
  return static_cast<unsigned>(in.batches * in.cameras) * blocks_of(kProjectThreads, in.gaussians);
}

}  // namespace

void project_surfels(const GaussianInputs& in, const RenderSettings& settings, const SurfelOutputs& out,
                     Stream stream) {
  const unsigned grid = blocks_of_images(in);
  if (grid == 0) return;
  project_surfel<<<grid, kProjectThreads, 0, stream>>>(in, settings, out);
  check_launch("project_surfel");
}

void project_surfels_backward(const GaussianInputs& in, const int32_t* radii, const SurfelGrads& v,
                              const GaussianGrads& out, void* workspace, Stream stream) {
  const unsigned blocks = blocks_of(kProjectThreads, in.gaussians);
  const unsigned grid = static_cast<unsigned>(in.batches) * blocks;
  float* const camera_sums = static_cast<float*>(workspace);
  const bool wants_camera = out.viewmats != nullptr;
  if (grid != 0) {
    if (wants_camera) {
      surfel_gradients<true><<<grid, kProjectThreads, 0, stream>>>(in, radii, v, out, camera_sums);
    } else {
      surfel_gradients<false><<<grid, kProjectThreads, 0, stream>>>(in, radii, v, out, camera_sums);
    }
    check_launch("surfel_gradients");
  }
  const unsigned images = static_cast<unsigned>(in.batches * in.cameras);
  if (!wants_camera || images == 0) return;
  sum_camera_gradients<Pinhole><<<images, kProjectThreads, 0, stream>>>(camera_sums, blocks, out);
  check_launch("sum_camera_gradients");
}

void project_surfels_jvp(const GaussianInputs& in, const GaussianInputs& tangents, const int32_t* radii,
                         const SurfelTangents& out, Stream stream) {
  const unsigned grid = blocks_of_images(in);
  if (grid == 0) return;
  surfel_tangents<<<grid, kProjectThreads, 0, stream>>>(in, tangents, radii, out);
  check_launch("surfel_tangents");
}

}  // namespace gsplat::cuda
