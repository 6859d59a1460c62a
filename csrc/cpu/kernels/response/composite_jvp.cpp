// Forward mode of compositing: the tangents of the pixels from the tangents of the splats.
//
// One more walk over the tile lists, front to back, that carries the tangent of the transmittance next to the
// transmittance itself. Which splat is skipped, capped or the last one was decided by the values.
#include "cpu/compositing.h"
#include "cpu/parallel.h"
#include "cpu/simd/block_images.h"
#include "math/forward_mode.h"
#include "math/response/selected.h"
#include "raster/tangents.h"

namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE {
namespace {

using Response = GSPLAT_RESPONSE_TYPE;
using Family = Response::Family;
constexpr int kExtras = Response::kExtras;

// The tangents of a SplatRecord.
struct alignas(64) SplatTangent {
  Family::MovingSplat splat;
  ExtrasOf<float, kExtras> extras;
  float color[kRecordChannels];
};

struct BlockScratch {
  BlockSplats<Response> splats;
  Buffer<float> t_colors;  // [channel, pixel of a block]
  Buffer<float> t_depths;  // [kDepths, pixel of a block], of surfels
  RayPlanes t_rays;        // of responses along rays
};

// At the splats' flat indices; those of culled splats are undefined.
SplatTangent* make_tangents(const CompositeInputs& in, const CompositeTangents& t,
                            Buffer<SplatTangent>& buffer) {
  SplatTangent* tangents = buffer.reserve(in.images * in.gaussians);
  const int channels = in.channels < kRecordChannels ? in.channels : kRecordChannels;
  parallel_for(in.lists.visible, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t position = begin; position < end; ++position) {
      const int64_t i = in.lists.order[position];
      SplatTangent& s = tangents[i];
      s.splat = load_moving<Family>(in, t, i);
      for (int e = 0; e < kExtras; ++e) s.extras.values[e] = t.extras[i * kExtras + e];
      for (int c = 0; c < channels; ++c) s.color[c] = t.colors[i * in.channels + c];
    }
  });
  return tangents;
}

// Tangents of a block's pixels: of the transmittance, and planes of the colours and, if they are wanted, the
// depths; zero at first.
struct PixelTangents {
  alignas(64) float transmittance[kBlockPixels] = {};
  float* colors;
  float* depths;
  const RayPlanes* rays;  // null for responses on the screen
};

// What a moving splat has to know of the pixels of a cell: their offsets from its mean, or how their rays
// change.
template <class Response, bool kAlongRays = Response::Family::kAlongRays>
struct CellMotion {
  PixelOffsets offsets;

  CellMotion(const SplatRecord<Response>& record, const BlockPlace& place, const RayPlanes*,
             const BlockPixels<Response>&, int cell)
      : offsets(record, place, cell) {}
  [[gnu::always_inline]] Vec2<Float> operator[](int i) const { return {offsets.dx[i], offsets.dy[i]}; }
};

template <class Response>
struct CellMotion<Response, true> {
  const BlockRays& rays;
  const RayPlanes& t_rays;
  int first;

  CellMotion(const SplatRecord<Response>&, const BlockPlace&, const RayPlanes* of_block,
             const BlockPixels<Response>& state, int cell)
      : rays(state.rays), t_rays(*of_block), first(cell * kCellPixels) {}
  [[gnu::always_inline]] MovingRay<Float> operator[](int i) const {
    const int at = first + i * kLanes;
    const Ray<Float> ray = rays.from_centre ? rays.at<true>(at) : rays.at<false>(at);
    return {Response::Family::kFlat ? ray : as_long(ray, at), as_long(t_rays.at(at, rays.from_centre), at)};
  }

private:
  // As those in whose lengths CellResponse is.
  [[gnu::always_inline]] Ray<Float> as_long(Ray<Float> ray, int at) const {
    ray.direction = Float::load(rays.length + at) * ray.direction;
    return ray;
  }
};

template <class Moving, class At, class Motion>
[[gnu::always_inline]] inline void add_depths(const Moving& moving, const Dual<Float>& weight, const At& at,
                                              const Motion& motion, float* sums) {
  if constexpr (Family::kFlat) {
    const Vec3<Float> added = moving.depths(weight, at, motion);
    (Float::load(sums) + added.x).store(sums);
    (Float::load(sums + kBlockPixels) + added.y).store(sums + kBlockPixels);
    (Float::load(sums + 2 * kBlockPixels) + added.z).store(sums + 2 * kBlockPixels);
  }
}

template <int kChannels>
void jvp_block(const CompositeInputs& in, const CompositeTangents& t, const SplatTangent* tangents,
               const BlockSplats<Response>& splats, const BlockPlace& place, BlockPixels<Response>& state,
               PixelTangents& pixels) {
  const Float max_alpha(in.settings.max_alpha);
  constexpr int kAhead = 6;
  for (int n = 0; n < splats.count() && state.unfinished != 0; ++n) {
    if (n + kAhead < splats.count()) __builtin_prefetch(tangents + splats.id(n + kAhead));
    const CellSet cells = splats.cells(n) & state.unfinished;
    if (cells == 0) continue;
    const int64_t id = splats.id(n);
    const SplatRecord<Response>& record = splats[n];
    const SplatTangent& tangent = tangents[id];
    const float* color = splats.color<kChannels>(in, n);
    const float* t_color = kChannels == kDynamic ? t.colors + id * in.channels : tangent.color;
    ExtrasOf<Float, kExtras> t_extras;
    repeat<kExtras>([&](auto e) { t_extras.values[e] = Float(tangent.extras.values[e]); });
    const BlockSplat<Response> splat(record, place, state);
    const Moving<Response, Float> moving(shape_of(record), splat.prepared(), tangent.splat, t_extras.values);
    each_cell(cells, [&](int cell) __attribute__((always_inline)) {
      const CellMotion<Response> motion(record, place, pixels.rays, state, cell);
      const CellResponse at(splat, state, cell);
      Float front[kVectors];
      repeat<kVectors>(
          [&](auto i) { front[i] = Float::load(state.transmittance + cell * kCellPixels + i * kLanes); });
      const CellBlend blend(at, state, cell, max_alpha);
      repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
        const int first = cell * kCellPixels + i * kLanes;
        const Dual<Float> alpha =
            moving.alpha(blend.alpha[i], at.uncapped[i] <= max_alpha, at.pixel[i], motion[i]);
        const Dual<Float> transmittance(front[i], Float::load(pixels.transmittance + first));
        const Dual<Float> weight = alpha * transmittance;
        Over::behind(transmittance, alpha).tangent.store(pixels.transmittance + first);
        const auto add_channel = [&](int c) __attribute__((always_inline)) {
          float* sum = pixels.colors + c * kBlockPixels + first;
          const Float from_color = fma(weight.value, Float(t_color[c]), Float::load(sum));
          fma(weight.tangent, Float(color[c]), from_color).store(sum);
        };
        if constexpr (kChannels != kDynamic) {
          repeat<kChannels>(add_channel);
        } else {
          for (int c = 0; c < in.channels; ++c) add_channel(c);
        }
        if (pixels.depths != nullptr)
          add_depths(moving, weight, at.pixel[i], motion[i], pixels.depths + first);
      });
    });
  }
}

template <int kChannels>
void jvp_all(const CompositeInputs& in, const CompositeTangents& t, const CompositeOutputs& out) {
  const auto* records = make_records<Response>(in);
  const SplatTangent* tangents = make_tangents(in, t, per_thread<Buffer<SplatTangent>>());
  TileWalk(in.image, in.settings.tile_size)
      .each_block(in.images, [&](int64_t tile, int, const BlockPlace& place) {
        BlockScratch& scratch = per_thread<BlockScratch>();
        scratch.splats.gather(in, records, tile, place);
        BlockPixels<Response> state(in, place);
        PixelTangents pixels;
        pixels.rays = state.tangents(in, place, t.rays, scratch.t_rays);
        pixels.colors = zero_planes(scratch.t_colors, in.channels);
        pixels.depths = out.depths == nullptr ? nullptr : zero_planes(scratch.t_depths, kDepths);
        jvp_block<kChannels>(in, t, tangents, scratch.splats, place, state, pixels);
        write_colors<kChannels>(in, place, pixels.colors, pixels.transmittance, out.colors);
        if (pixels.depths != nullptr) write_planes(pixels.depths, kDepths, in.image, place, out.depths);
        for (float& t_transmittance : pixels.transmittance) t_transmittance = -t_transmittance;
        write_plane(pixels.transmittance, in.image, place, out.alphas);
      });
}

}  // namespace

void composite_jvp(const CompositeInputs& in, const CompositeTangents& tangents,
                   const CompositeOutputs& out) {
  for_channels<kDynamic, 3>(in.channels, [&](auto channels) { jvp_all<channels>(in, tangents, out); });
}

}  // namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE
