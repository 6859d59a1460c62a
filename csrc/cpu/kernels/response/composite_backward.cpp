// Backward pass of compositing: gradients of every splat from the gradients of the pixels.
//
// Each tile replays its forward pass, front to back, and writes one row of sums per intersection (splat and
// tile): the moments of the response's family (math/response) and the sums of the payloads (math/payload). A
// second loop adds up the rows of each splat in a fixed order and finishes its gradients. So no two threads
// ever add to the same number, and the result does not depend on how many there are. The rows lie in the
// order of the splats, because writing memory here and there costs less than reading it so.
#include <cstring>

#include "cpu/compositing.h"
#include "cpu/parallel.h"
#include "cpu/simd/pixel_order.h"
#include "cpu/simd/ray_splats.h"
#include "math/payload/color.h"
#include "math/response/selected.h"
#include "raster/payloads.h"

namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE {
namespace {

using Response = GSPLAT_RESPONSE_TYPE;
using Family = Response::Family;

constexpr int kMoments = Family::kSums, kExtras = Response::kExtras;
constexpr int kOfSplat = kMoments + kExtras;
constexpr int kGroup = 8;  // an unknown number of channels is added up in groups of so many

// The sums of a splat lie in a row: its moments, the gradients of its extras, the sums of the payloads, and
// the colours if their number is known at run time only. Its length in floats is a multiple of 4, so that
// rows are aligned for 128-bit loads.
template <class Sums>
constexpr int row_length(int dynamic_channels) {
  return (kOfSplat + Sums::kSums + (dynamic_channels + kGroup - 1) / kGroup * kGroup + 3) / 4 * 4;
}

struct BlockScratch {
  BlockSplats<Response> splats;
  Buffer<float> v_colors, colors;  // [channel, pixel of a block]
  Buffer<float> v_depths, depths;  // [kDepths, pixel of a block], of surfels
  RayPlanes v_rays;                // of responses along rays
};

// One row of sums. A type of its own, because a thread has one of each type.
struct SumBuffer : Buffer<float> {};

// The rows of all intersections, in the order of the splats' flat indices; one for each block of the tile.
struct SplatRows {
  Buffer<float> buffer;
  Buffer<int64_t> splat_starts;  // [splats + 1]: the range of intersections of each splat
  Buffer<int32_t> places;        // [intersections]: where each entry of flatten_ids lies in this order
  float* rows;
  int64_t stride;
  int blocks;  // per tile

  void arrange(const CompositeInputs& in, int64_t row_stride, int blocks_per_tile) {
    const TileLists& lists = in.lists;
    const int64_t splats = in.images * in.gaussians;
    stride = row_stride;
    blocks = blocks_per_tile;
    rows = buffer.reserve(lists.intersections * blocks * stride);
    int64_t* starts = splat_starts.reserve(splats + 1);
    std::memset(starts, 0, sizeof(int64_t) * (splats + 1));
    parallel_for(lists.visible, 4096, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        starts[lists.order[p] + 1] = lists.slot_offsets[p + 1] - lists.slot_offsets[p];
      }
    });
    for (int64_t i = 0; i < splats; ++i) starts[i + 1] += starts[i];
    int32_t* place = places.reserve(lists.intersections);
    parallel_for(lists.visible, 4096, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        int32_t row = static_cast<int32_t>(starts[lists.order[p]]);
        for (int32_t s = lists.slot_offsets[p]; s < lists.slot_offsets[p + 1]; ++s) {
          place[lists.slots[s]] = row++;
        }
      }
    });
  }

  // That of an entry of flatten_ids and a block of its tile.
  float* row(int64_t entry, int block) const {
    return rows + (static_cast<int64_t>(places.data()[entry]) * blocks + block) * stride;
  }
  // Inlined, because GCC leaves out calls of functions that do nothing but prefetch.
  [[gnu::always_inline]] void prefetch(int64_t entry, int block) const {
    __builtin_prefetch(row(entry, block), 1);
    __builtin_prefetch(row(entry, block) + stride - 1, 1);
  }
};

// What the backward pass knows about the pixels of a block before it starts.
struct PixelGrads {
  alignas(64) float v_alpha[kBlockPixels];  // gradient of alpha, the background's part included
  alignas(64) float behind[kBlockPixels];   // E - R: what the splats still to come contribute; E at first
  alignas(64) float v_probe[kBlockPixels];  // what payloads know of the pixels besides; zero if not given
  const float* v_colors;                    // [channel, pixel]
  const float* v_depths;                    // [kDepths, pixel], or null
  RayPlanes* v_rays;  // summed up where a response along rays is asked for them, or null
};

template <int kChannels>
void load_pixel_grads(const CompositeInputs& in, const CompositeGradInputs& v, const BlockPlace& place,
                      BlockScratch& scratch, PixelGrads& pixels) {
  const int channels = kChannels == kDynamic ? in.channels : kChannels;
  const float* background = in.backgrounds == nullptr ? nullptr : in.backgrounds + place.image * channels;
  const int planes = kChannels == kDynamic ? (channels + kGroup - 1) / kGroup * kGroup : channels;
  float* v_colors = scratch.v_colors.reserve(static_cast<int64_t>(planes) * kBlockPixels);
  float* colors = scratch.colors.reserve(static_cast<int64_t>(channels) * kBlockPixels);
  alignas(64) float alphas[kBlockPixels];
  load_planes(v.v_colors, channels, in.image, place, v_colors);
  load_planes(v.colors, channels, in.image, place, colors);
  load_planes(v.v_alphas, 1, in.image, place, pixels.v_alpha);
  load_planes(v.alphas, 1, in.image, place, alphas);
  if (v.v_probe != nullptr) {
    load_planes(v.v_probe, 1, in.image, place, pixels.v_probe);
  } else {
    std::memset(pixels.v_probe, 0, sizeof(pixels.v_probe));
  }
  pixels.v_colors = v_colors;
  pixels.v_depths = nullptr;
  if (v.v_depths != nullptr) {
    float* v_depths = scratch.v_depths.reserve(kDepths * kBlockPixels);
    load_planes(v.v_depths, kDepths, in.image, place, v_depths);
    load_planes(v.depths, kDepths, in.image, place, scratch.depths.reserve(kDepths * kBlockPixels));
    pixels.v_depths = v_depths;
  }
  std::memset(v_colors + channels * kBlockPixels, 0, sizeof(float) * (planes - channels) * kBlockPixels);
  for (int i = 0; i < kBlockPixels; i += kLanes) {
    Float from_colors(0.0f), from_background(0.0f);
    for (int c = 0; c < channels; ++c) {
      const Float v_c = Float::load(v_colors + c * kBlockPixels + i);
      from_colors = fma(v_c, Float::load(colors + c * kBlockPixels + i), from_colors);
      if (background != nullptr) from_background = fma(v_c, Float(background[c]), from_background);
    }
    if (v.v_depths != nullptr) {
      for (int c = 0; c < kDepths; ++c) {
        from_colors = fma(Float::load(scratch.v_depths.data() + c * kBlockPixels + i),
                          Float::load(scratch.depths.data() + c * kBlockPixels + i), from_colors);
      }
    }
    const Float alpha = Float::load(alphas + i);
    const Float v_alpha = Float::load(pixels.v_alpha + i) - from_background;
    v_alpha.store(pixels.v_alpha + i);
    // The outputs hold the background too: C = sum w c + (1 - alpha) bg.
    const Float without_background = from_colors - (Float(1.0f) - alpha) * from_background;
    fma(alpha, v_alpha, without_background).store(pixels.behind + i);
  }
}

// Writes the lane sums of kCount vectors to a row, which has room for whole quads of sums.
template <int kCount>
inline void write_sums(const Float* values, float* row) {
  constexpr int kRest = kCount % 8, kFirstRest = kCount - kRest;
  for (int i = 0; i < kFirstRest; i += 8) sums8(values + i, row + i);
  if constexpr (kRest > 4) {
    Float padded[8];
    for (int j = 0; j < 8; ++j) padded[j] = j < kRest ? values[kFirstRest + j] : Float(0.0f);
    sums8(padded, row + kFirstRest);
  } else {
    for (int i = kFirstRest; i < kCount; ++i) row[i] = sum(values[i]);
  }
}

// Number by number: copied as bytes, they would be in memory all the time.
[[gnu::always_inline]] inline void list_moments(const QuadraticMoments<Float>& m, Float* sums) {
  const Float all[kMoments] = {m.e, m.eu, m.ev, m.euu, m.euv, m.evv};
  repeat<kMoments>([&](auto i) __attribute__((always_inline)) { sums[i] = all[i]; });
}
[[gnu::always_inline]] inline void list_moments(const WindowMoments<Float>& m, Float* sums) {
  const Float all[kMoments] = {m.e, m.m1, m.m2, m.s1, m.s2, m.turn};
  repeat<kMoments>([&](auto i) __attribute__((always_inline)) { sums[i] = all[i]; });
}

[[gnu::always_inline]] inline void list_moments(const RaySums<Float>& m, Float* sums) {
  constexpr int kCount = sizeof(m) / sizeof(Float);
  const Sym3<Float>& p = m.products;
  const Float all[kCount] = {m.centre.x, m.centre.y, m.centre.z, p.xx, p.xy, p.xz, p.yy, p.yz, p.zz, m.e};
  repeat<kCount>([&](auto i) __attribute__((always_inline)) { sums[i] = all[i]; });
}

[[gnu::always_inline]] inline void list_moments(const SurfelSums<Float>& m, Float* sums) {
  constexpr int kCount = sizeof(m) / sizeof(Float);
  const Vec3<Float>&a = m.by_first, &b = m.by_second, &c = m.by_inverse;
  const Float all[kCount] = {a.x, a.y, a.z, b.x, b.y, b.z, c.x, c.y, c.z, m.filter_x, m.filter_y, m.e};
  repeat<kCount>([&](auto i) __attribute__((always_inline)) { sums[i] = all[i]; });
}

// Adds what the depth at which pixels see a surfel has to do with their loss to g = dL/dw, and returns the
// gradient of the inverse depth over w.
template <class Response, class At>
[[gnu::always_inline]] inline Float take_depths(const At& at, const PixelGrads& pixels, int first, Float& g) {
  if constexpr (Response::Family::kFlat) {
    if (pixels.v_depths != nullptr) {
      const float* v = pixels.v_depths + first;
      const Vec2<Float> found = Response::Family::depths_vjp(
          at, {Float::load(v), Float::load(v + kBlockPixels), Float::load(v + 2 * kBlockPixels)});
      g = g + found.x;
      return found.y;
    }
  }
  return Float(0.0f);
}

template <class Response, class Change>
[[gnu::always_inline]] inline void add_depth(Change& change, const Float& by_inverse) {
  if constexpr (Response::Family::kFlat) Response::Family::add_depth(change, by_inverse);
}

template <class Response, class At, class Change>
[[gnu::always_inline]] inline void add_ray_gradient(const BlockSplat<Response>& splat, const At& at,
                                                    const Change& change, int first,
                                                    const BlockPixels<Response>& state, RayPlanes* v_rays) {
  if constexpr (Response::Family::kAlongRays) {
    if (v_rays == nullptr) return;
    v_rays->add(first, Response::Family::ray_vjp(splat.prepared(), change, state.rays.distance(at.tau, first),
                                                 state.rays.from_centre));
  }
}

// What payloads need to know how a splat moves across the image: its shape, or the rays around it.
template <bool kWanted, class Response>
[[gnu::always_inline]] inline auto across_of(const CompositeInputs& in, int32_t id,
                                             const SplatRecord<Response>& record) {
  if constexpr (!Response::Family::kAlongRays) {
    return shape_of(record);
  } else {
    using Family = Response::Family;
    typename Family::template Across<Float> across = {};
    if constexpr (kWanted) {
      typename Family::template Frame<float> frame;
      std::memcpy(&frame, record.frame(), sizeof(frame));
      const auto found = across_image<Family>(in, id, frame);
      across.x = {Float(found.x.x), Float(found.x.y), Float(found.x.z)};
      across.y = {Float(found.y.x), Float(found.y.y), Float(found.y.z)};
    }
    return across;
  }
}

// Writes the sums of one splat over the pixels of a block.
template <int kChannels, class BlendOrder, class... Extras>
[[gnu::always_inline]] inline void write_row(const CompositeInputs& in, const BlockSplats<Response>& splats,
                                             int n, const BlockPlace& place, const BlendOrder& order,
                                             CellSet cells, BlockPixels<Response>& state, PixelGrads& pixels,
                                             float* row) {
  using Sums = Payloads<Extras..., Color<kChannels>>;
  constexpr int kSums = kOfSplat + Sums::kSums;
  const Float max_alpha(in.settings.max_alpha), one(1.0f), zero(0.0f);
  const SplatRecord<Response>& record = splats[n];
  const auto across = across_of<(sizeof...(Extras) > 0)>(in, splats.id(n), record);
  const float* color = splats.color<kChannels>(in, n);
  const BlockSplat<Response> splat(record, place, state);
  auto moments = Family::Sums<Float>::zero();
  ZeroedSums<Float, kExtras> v_extras;
  typename Sums::template Sums<Float> payloads;
  alignas(64) float weights[kChannels == kDynamic ? kBlockPixels : 1];

  auto blends = order.blends(n);
  each_cell(cells, [&](int cell) __attribute__((always_inline)) {
    const CellResponse at(splat, state, cell);
    const auto blend = blends.next(at, state, cell, max_alpha);
    repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
      const int first = cell * kCellPixels + i * kLanes;
      const Float &alpha = blend.alpha[i], &weight = blend.weight[i];
      Float g = Float::load(pixels.v_alpha + first);
      const auto color_of = [&](int c) __attribute__((always_inline)) { return Float(color[c]); };
      const auto v_color = [&](int c) __attribute__((always_inline)) {
        return Float::load(pixels.v_colors + c * kBlockPixels + first);
      };
      payloads.take(weight, color_of, v_color, g);
      if constexpr (kChannels == kDynamic) {
        for (int c = 0; c < in.channels; ++c) g = fma(color_of(c), v_color(c), g);
        weight.store(weights + first);
      }
      const Float by_inverse = take_depths<Response>(at.pixel[i], pixels, first, g);
      const Float blended = weight * g;
      Float behind;
      if constexpr (BlendOrder::kOfPixels) {
        behind = blend.rest[i];
      } else {
        behind = Float::load(pixels.behind + first) - blended;
        behind.store(pixels.behind + first);
      }
      // No gradient through the cap.
      const Float e = zero_unless(at.uncapped[i] <= max_alpha, Over::log_alpha_vjp(blended, alpha, behind));
      auto change = Family::change(splat.prepared(), at.pixel[i], e);
      add_depth<Response>(change, weight * by_inverse);
      Family::add(moments, e, change, at.pixel[i]);
      unrolled<kExtras>([&](auto k) __attribute__((always_inline)) {
        v_extras.numbers[k] = v_extras.numbers[k] - e * change.by_extras.values[k];
      });
      add_ray_gradient(splat, at.pixel[i], change, first, state, pixels.v_rays);
      const Seen<Float> seen = Family::seen(across, change);
      payloads.see(seen.shape, {seen.u, seen.v, seen.sloped, weight, zero_unless(weight > zero, one),
                                Float::load(pixels.v_probe + first)});
    });
  });

  Float sums[kSums];
  list_moments(moments, sums);
  unrolled<kExtras>([&](auto k) { sums[kMoments + k] = v_extras.numbers[k]; });
  payloads.list(sums + kOfSplat);
  write_sums<kSums>(sums, row);
  if constexpr (kChannels == kDynamic) {
    for (int c = 0; c < in.channels; c += kGroup) {
      Float group[kGroup];
      for (Float& sum : group) sum = zero;
      each_cell(cells, [&](int cell) __attribute__((always_inline)) {
        repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
          const int first = cell * kCellPixels + i * kLanes;
          const Float weight = Float::load(weights + first);
          // Beyond the last channel there are planes of zeros.
          repeat<kGroup>([&](auto j) __attribute__((always_inline)) {
            group[j] = fma(weight, Float::load(pixels.v_colors + (c + j) * kBlockPixels + first), group[j]);
          });
        });
      });
      sums8(group, row + kSums + c);
    }
  }
}

// Adds up the rows of one splat, in the order of its tiles. A row length that is known when this is compiled
// keeps the sums in registers.
template <int kStride>
void add_rows(const SplatRows& all, int64_t id, float* total) {
  typedef float Quad __attribute__((vector_size(16)));
  const int64_t stride = kStride == kDynamic ? all.stride : kStride;
  Quad local[kStride == kDynamic ? 1 : kStride / 4] = {};
  Quad* sums = local;
  if constexpr (kStride == kDynamic) {
    sums = reinterpret_cast<Quad*>(total);
    std::memset(total, 0, sizeof(float) * stride);
  }
  const int64_t* starts = all.splat_starts.data();
  for (int64_t i = starts[id] * all.blocks; i < starts[id + 1] * all.blocks; ++i) {
    const Quad* row = reinterpret_cast<const Quad*>(all.rows + i * stride);
    for (int64_t q = 0; q < stride / 4; ++q) sums[q] += row[q];
  }
  if constexpr (kStride != kDynamic) std::memcpy(total, local, sizeof(local));
}

// Culled splats have neither a shape nor moments.
bool is_culled(const CompositeInputs& in, int64_t id) { return !(in.opacities[id] > 0.0f); }

template <class Moments>
void finish_splat(const CompositeInputs& in, int64_t id, const Moments& moments, const CompositeGrads& out) {
  constexpr float kAnyRoot[3] = {1.0f, 0.0f, 1.0f};
  const bool culled = is_culled(in, id);
  const float* root = culled ? kAnyRoot : in.shapes + 3 * id;
  const SplatGrad<float> g = splat_vjp(moments, root[0], root[1], root[2], culled ? 1.0f : in.opacities[id]);
  out.means2d[2 * id] = g.mean_x;
  out.means2d[2 * id + 1] = g.mean_y;
  out.shapes[3 * id] = g.l11;
  out.shapes[3 * id + 1] = g.l21;
  out.shapes[3 * id + 2] = g.l22;
  out.opacities[id] = g.opacity;
}
// finish_ray_splats() does it for several.
inline void finish_splat(const CompositeInputs&, int64_t, const RaySums<float>&, const CompositeGrads&) {}
inline void finish_splat(const CompositeInputs&, int64_t, const SurfelSums<float>&, const CompositeGrads&) {}

// Fetches what finish_ray_splats() will look up, which lies anywhere in the image.
constexpr int kAheadOfSplat = 2 * kLanes;
template <class Response>
[[gnu::always_inline]] inline void prefetch_rays(const CompositeInputs& in, int64_t id) {
  if constexpr (Response::Family::kAlongRays) {
    const float* rays = in.rays.rays + pixel_of_splat(in, id) * in.rays.numbers;
    __builtin_prefetch(rays);
    if (in.image.height > 1)
      __builtin_prefetch(rays + static_cast<int64_t>(in.image.width) * in.rays.numbers);
  }
}

// Turns the sums of one splat into its gradients; those of a splat that no pixel saw are zero.
template <int kChannels, class... Extras>
void write_splat(const CompositeInputs& in, int64_t id, const float* total, const CompositeGrads& out) {
  using Sums = Payloads<Extras..., Color<kChannels>>;
  Family::Sums<float> moments;
  static_assert(sizeof(moments) == sizeof(float) * kMoments);
  std::memcpy(&moments, total, sizeof(moments));
  finish_splat(in, id, moments, out);
  for (int k = 0; k < kExtras; ++k) out.extras[id * kExtras + k] = total[kMoments + k];
  Sums::finish(total + kOfSplat, out, in.channels, id);
  if constexpr (kChannels == kDynamic) {
    const float* colors = total + kOfSplat + Sums::kSums;
    for (int c = 0; c < in.channels; ++c) out.colors[id * in.channels + c] = colors[c];
  }
}

// The order of a block, of the kind BlendOrder.
template <int kChannels, class BlendOrder, class... Extras>
BlendOrder order_of(const CompositeInputs& in, const BlockSplats<Response>& splats, const BlockPlace& place,
                    BlockPixels<Response>& state, PixelGrads& pixels) {
  if constexpr (!BlendOrder::kOfPixels) {
    return BlendOrder(in, splats, place, state);
  } else {
    const auto gradient = [&](int cell, int n, int i) __attribute__((always_inline)) {
      const int first = cell * kCellPixels + i * kLanes;
      const float* color = splats.color<kChannels>(in, n);
      Float g = Float::load(pixels.v_alpha + first);
      const auto color_of = [&](int c) __attribute__((always_inline)) { return Float(color[c]); };
      const auto v_color = [&](int c) __attribute__((always_inline)) {
        return Float::load(pixels.v_colors + c * kBlockPixels + first);
      };
      typename Payloads<Extras..., Color<kChannels>>::template Sums<Float> not_wanted;
      not_wanted.take(Float(0.0f), color_of, v_color, g);
      if constexpr (kChannels == kDynamic) {
        for (int c = 0; c < in.channels; ++c) g = fma(color_of(c), v_color(c), g);
      }
      return g;
    };
    return BlendOrder(in, splats, place, state, pixels.behind, gradient);
  }
}

template <int kChannels, class BlendOrder, class... Extras>
void backward_all(Payloads<Extras...>, const CompositeInputs& in, const CompositeGradInputs& v,
                  const CompositeGrads& out) {
  using Sums = Payloads<Extras..., Color<kChannels>>;
  constexpr int kStride = kChannels == kDynamic ? kDynamic : row_length<Sums>(0);
  const int64_t stride = row_length<Sums>(kChannels == kDynamic ? in.channels : 0);
  const auto* records = make_records<Response>(in);
  SplatRows& rows = per_thread<SplatRows>();  // the caller's, in all threads
  const TileWalk walk(in.image, in.settings.tile_size);
  rows.arrange(in, stride, walk.blocks_per_tile());
  walk.each_block(in.images, [&](int64_t tile, int block, const BlockPlace& place) {
    BlockScratch& scratch = per_thread<BlockScratch>();
    const BlockSplats<Response>& splats = scratch.splats;
    for (const float* image : {v.v_colors, v.colors}) prefetch_planes(image, in.channels, in.image, place);
    for (const float* image : {v.v_alphas, v.alphas}) prefetch_planes(image, 1, in.image, place);
    scratch.splats.gather(in, records, tile, place);
    BlockPixels<Response> state(in, place);
    PixelGrads pixels;
    load_pixel_grads<kChannels>(in, v, place, scratch, pixels);
    pixels.v_rays = state.no_gradients(out.rays, scratch.v_rays);
    // Where pixels have an order of their own, what moves behind all splats beforehand is a copy.
    std::conditional_t<BlendOrder::kOfPixels, BlockPixels<Response>, BlockPixels<Response>&> moved = state;
    const BlendOrder order = order_of<kChannels, BlendOrder, Extras...>(in, splats, place, moved, pixels);
    constexpr int kAhead = 24;
    for (int n = 0; n < kAhead && n < splats.count(); ++n) rows.prefetch(splats.begin() + n, block);
    for (int n = 0; n < splats.count(); ++n) {
      if (n + kAhead < splats.count()) rows.prefetch(splats.begin() + n + kAhead, block);
      if constexpr (kChannels == kDynamic) splats.prefetch_color(in, n);
      const CellSet cells = order.cells(n);
      float* row = rows.row(splats.begin() + n, block);
      if (cells == 0) {
        std::memset(row, 0, sizeof(float) * stride);
      } else {
        write_row<kChannels, BlendOrder, Extras...>(in, splats, n, place, order, cells, state, pixels, row);
      }
    }
    state.write_gradients(in, place, pixels.v_rays, out.rays);
  });
  parallel_for(in.images * in.gaussians, 1024, [&](int64_t begin, int64_t end) {
    float* totals = per_thread<SumBuffer>().reserve(stride * kLanes);
    for (int64_t first = begin; first < end; first += kLanes) {
      const int count = end - first < kLanes ? static_cast<int>(end - first) : kLanes;
      for (int i = 0; i < count; ++i) {
        const int64_t id = first + i;
        if (id + kAheadOfSplat < end) prefetch_rays<Response>(in, id + kAheadOfSplat);
        add_rows<kStride>(rows, id, totals + i * stride);
        write_splat<kChannels, Extras...>(in, id, totals + i * stride, out);
      }
      if constexpr (Family::kAlongRays) finish_ray_splats<Family>(in, first, count, totals, stride, out);
    }
  });
}

}  // namespace

void composite_backward(const CompositeInputs& in, const CompositeGradInputs& v, const CompositeGrads& out) {
  using InList = ListOrder<Response>;
  using OfPixels = PixelOrder<Response, true>;
  if constexpr (!Family::kFlat) {  // surfels have no such order
    if (in.settings.order == Order::pixel) {
      if (in.channels == 3 && Payloads<>::suffice(out)) {
        return backward_all<3, OfPixels>(Payloads<>{}, in, v, out);
      }
      return for_channels<kDynamic, 3>(
          in.channels, [&](auto channels) { backward_all<channels, OfPixels>(AllPayloads{}, in, v, out); });
    }
  }
  // What trainings ask for most has code of its own; the rest is served by code that can do more.
  if (Payloads<>::suffice(out)) {
    for_frequent_channels<Response, kDynamic>(
        in.channels, [&](auto channels) { backward_all<channels, InList>(Payloads<>{}, in, v, out); });
    return;
  }
  if constexpr (Response::kFrequent) {
    if (in.channels == 3 && Payloads<AbsGrad>::suffice(out)) {
      return backward_all<3, InList>(Payloads<AbsGrad>{}, in, v, out);
    }
  }
  for_channels<kDynamic, 3>(
      in.channels, [&](auto channels) { backward_all<channels, InList>(AllPayloads{}, in, v, out); });
}

}  // namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE
