// Projection of surfels, one SIMD lane each, in both modes.
#include "cpu/simd/projection_passes.h"
#include "cpu/surfels.h"
#include "math/forward_mode.h"
#include "math/surfel_projection.h"

namespace gsplat::GSPLAT_ISA {
namespace {

constexpr int kCanonical = RayInputs::kCanonical;

// The rows of `canonical`: where the filter's centre lies is where it is looked for.
template <class T>
void store_canonical(LaneMask m, const SeenSurfel<T>& s, Float (*number)(const T&), const Vec2<Float>& middle,
                     Float nearest, float* rows, int count) {
  const Vec3<T>* vectors[3] = {&s.first, &s.second, &s.offset};
  LaneBlock<kCanonical> block;
  for (int i = 0; i < 3; ++i) {
    block.set(3 * i, zero_unless(m, number(vectors[i]->x)));
    block.set(3 * i + 1, zero_unless(m, number(vectors[i]->y)));
    block.set(3 * i + 2, zero_unless(m, number(vectors[i]->z)));
  }
  block.set(9, zero_unless(m, middle.x));
  block.set(10, zero_unless(m, middle.y));
  block.set(11, zero_unless(m, nearest));
  block.store(rows, kCanonical, count);
}

void store_number(Float value, float* to, int count) {
  LaneBlock<1> block;
  block.set(0, value);
  block.store(to, 1, count);
}

SeenSurfel<Float> load_grads(const SurfelGrads& v, int64_t splat, int count) {
  const auto c = LaneBlock<kCanonical>::load(v.canonical + kCanonical * splat, kCanonical, count);
  const auto depth = LaneBlock<1>::load(v.depths + splat, 1, count);
  return {{c[0], c[1], c[2]}, {c[3], c[4], c[5]}, {c[6], c[7], c[8]}, {c[9], c[10]}, depth[0]};
}

LaneMask any_of(const SeenSurfel<Float>& v) {
  return nonzero(v.first) | nonzero(v.second) | nonzero(v.offset) | nonzero(v.middle.x) |
         nonzero(v.middle.y) | nonzero(v.depth);
}

}  // namespace

void project_surfels(const GaussianInputs& in, const RenderSettings& settings, const SurfelOutputs& out) {
  const auto options = project_options<Float>(settings);
  each_gaussian_chunk(in.batches, in.gaussians, [&](const GaussianChunk& chunk) {
    for (int64_t c = 0; c < in.cameras; ++c) {
      const int64_t image = chunk.batch * in.cameras + c;
      const auto camera = load_camera<Float, Pinhole>(in, image);
      chunk.each_block([&](int64_t i, int count) {
        const int64_t splat = image * in.gaussians + i;
        const auto g = load_gaussians<ScaledRotation>(in, chunk.batch * in.gaussians + i, count);
        const SurfelInCamera<Float> surfel(camera, g);
        const auto seen = seen_surfel(camera, g, surfel);
        const auto b = surfel_bounds(camera, g, options, surfel, seen);
        store_block(
            {seen.middle, b.l11, b.l21, b.l22, seen.depth, g.opacity, b.radius_x, b.radius_y, b.visible},
            splat, count, out.splats);
        const Float zero(0.0f);
        store_canonical<Float>(
            b.visible, seen, [](const Float& x) { return x; }, {zero, zero}, options.near_plane,
            out.canonical + kCanonical * splat, count);
      });
    }
  });
}

void project_surfels_backward(const GaussianInputs& in, const int32_t* radii, const SurfelGrads& v,
                              const GaussianGrads& out) {
  constexpr int kNumbers = kCameraNumbers<Pinhole>;
  const bool wants_camera = out.viewmats != nullptr;
  const int64_t n = in.gaussians, chunks = gaussian_chunks(n);
  std::vector<double> sums(wants_camera ? in.batches * chunks * in.cameras * kNumbers : 0);
  each_gaussian_chunk(in.batches, n, [&](const GaussianChunk& chunk) {
    std::vector<Camera<Float, Pinhole>> cameras(in.cameras);
    std::vector<CameraGrad<Float, Pinhole>> v_cameras(in.cameras);
    for (int64_t c = 0; c < in.cameras; ++c) {
      cameras[c] = load_camera<Float, Pinhole>(in, chunk.batch * in.cameras + c);
    }
    chunk.each_block([&](int64_t i, int count) {
      const int64_t row = chunk.batch * n + i;
      const auto g = load_gaussians<ScaledRotation>(in, row, count);
      const Float zero(0.0f);
      Vec3<Float> v_mean = {zero, zero, zero};
      auto v_shape = ShapeArrays<ScaledRotation>::zero();
      Float v_opacity = zero;
      for (int64_t c = 0; c < in.cameras; ++c) {
        const int64_t splat = (chunk.batch * in.cameras + c) * n + i;
        const LaneMask visible = visible_lanes(radii + 2 * splat, count);
        if (!any(visible)) continue;
        v_opacity += zero_unless(visible, LaneBlock<1>::load(v.opacities + splat, 1, count)[0]);
        const auto v_seen = load_grads(v, splat, count);
        const LaneMask m = visible & any_of(v_seen);
        if (!any(m)) continue;
        CameraGrad<Float, Pinhole> v_camera = {};
        const auto v_g = seen_surfel_vjp(cameras[c], g, v_seen, v_camera);
        v_mean = v_mean + zero_unless(m, v_g.mean);
        ShapeArrays<ScaledRotation>::add(v_shape, m, v_g.shape);
        if (wants_camera) masked_add(v_cameras[c], m, v_camera);
      }
      store_vec3(v_mean, out.means + 3 * row, 3, count);
      ShapeArrays<ScaledRotation>::store(out, row, count, v_shape);
      store_number(v_opacity, out.opacities + row, count);
    });
    if (!wants_camera) return;
    for (int64_t c = 0; c < in.cameras; ++c) {
      lane_sums(v_cameras[c], &sums[(chunk.index * in.cameras + c) * kNumbers]);
    }
  });
  if (wants_camera) write_camera_grads<Pinhole>(in, sums, chunks, out);
}

void project_surfels_jvp(const GaussianInputs& in, const GaussianInputs& tangents, const int32_t* radii,
                         const SurfelTangents& out) {
  using Number = Dual<Float>;
  const int64_t n = in.gaussians;
  each_gaussian_chunk(in.batches, n, [&](const GaussianChunk& chunk) {
    for (int64_t c = 0; c < in.cameras; ++c) {
      const int64_t image = chunk.batch * in.cameras + c;
      const auto camera =
          moving_camera(load_camera<Float, Pinhole>(in, image), load_camera<Float, Pinhole>(tangents, image));
      chunk.each_block([&](int64_t i, int count) {
        const int64_t row = chunk.batch * n + i, splat = image * n + i;
        const LaneMask m = visible_lanes(radii + 2 * splat, count);
        const auto g = moving_gaussian(load_gaussians<ScaledRotation>(in, row, count),
                                       load_gaussians<ScaledRotation>(tangents, row, count));
        const auto seen = seen_surfel(camera, g, SurfelInCamera<Number>(camera, g));
        store_number(zero_unless(m, seen.depth.tangent), out.depths + splat, count);
        store_number(zero_unless(m, g.opacity.tangent), out.opacities + splat, count);
        store_canonical<Number>(
            m, seen, [](const Number& x) { return x.tangent; },
            {seen.middle.x.tangent, seen.middle.y.tangent}, Float(0.0f), out.canonical + kCanonical * splat,
            count);
      });
    }
  });
}

}  // namespace gsplat::GSPLAT_ISA
