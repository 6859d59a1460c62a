// Backward pass of compositing: gradients of every splat from the gradients of the pixels.
//
// Each warp replays the forward pass over its patch, front to back (see math/compositor/over.h for why that
// works). What a splat gets from the 64 pixels is summed over the warp and added to memory once. These sums
// are the moments of the response's family (math/response) and the sums of the payloads (math/payload), which
// are linear in the pixels: they are gathered in the places of the gradients themselves, and
// finish_splat_gradients() turns them into gradients in place.
#include "cuda/composite.h"
#include "cuda/pixel_order.cuh"
#include "math/payload/color.h"
#include "math/response/selected.h"
#include "raster/channels.h"
#include "raster/payloads.h"

namespace gsplat::cuda::GSPLAT_RESPONSE {
namespace {

using Response = GSPLAT_RESPONSE_TYPE;  // an argument of kernels, which reports name by it
using Family = Response::Family;

constexpr int kMoments = Family::kSums, kExtras = Response::kExtras;
constexpr int kOfSplat = kMoments + kExtras;
constexpr int kAnyChannels = 0;  // a number of channels that is known at run time only

// Gradients of a pixel's depths of surfels; nothing for other responses.
template <class Response, bool kFlat = Response::Family::kFlat>
struct DepthGrads {
  __device__ float load(const CompositeGradInputs&, int64_t) { return 0.0f; }
  __device__ float take(const Blend<Response>&, float&) const { return 0.0f; }
  template <class Change>
  __device__ void give(float, Change&) const {}
};

template <class Response>
struct DepthGrads<Response, true> {
  Vec3<float> v = {0.0f, 0.0f, 0.0f};

  // Returns their part of E.
  __device__ float load(const CompositeGradInputs& given, int64_t index) {
    if (given.v_depths == nullptr) return 0.0f;
    const float *of = given.v_depths + index * kDepths, *sums = given.depths + index * kDepths;
    v = {of[0], of[1], of[2]};
    return dot(v, Vec3<float>{sums[0], sums[1], sums[2]});
  }
  // Adds their part to g = dL/dw and returns the gradient of the inverse depth over w.
  __device__ float take(const Blend<Response>& blend, float& g) const {
    const Vec2<float> found = Response::Family::depths_vjp(blend.at, v);
    g += found.x;
    return found.y;
  }
  // Adds the gradient of the inverse depth to what changes with it.
  template <class Change>
  __device__ void give(float by_inverse, Change& change) const {
    Response::Family::add_depth(change, by_inverse);
  }
};

// What a pixel is given.
template <int kColors>
struct PixelGrads {
  float v_colors[kColors > 0 ? kColors : 1];
  float v_alpha;  // gradient of alpha, the background's part included
  float behind;   // E - R of math/compositor/over.h: what the splats still to come contribute
  float probe;    // what payloads know of it besides
  [[no_unique_address]] DepthGrads<Response> depths;
  int64_t index;  // of the pixel in the images

  __device__ PixelGrads(const CompositeInputs& in, const CompositeGradInputs& v, const Tile& tile,
                        const PixelPlace& place)
      : v_alpha(0.0f), behind(0.0f), probe(0.0f), index(place.exists ? place.index : 0) {
#pragma unroll
    for (int c = 0; c < kColors; ++c) v_colors[c] = 0.0f;
    if (!place.exists) return;
    const int channels = kColors == kAnyChannels ? in.channels : kColors;
    const float* background = in.backgrounds == nullptr ? nullptr : in.backgrounds + tile.image * channels;
    const float alpha = v.alphas[index];
    float from_colors = 0.0f, from_background = 0.0f;
    for (int c = 0; c < channels; ++c) {
      const float v_color = v.v_colors[index * channels + c];
      if constexpr (kColors != kAnyChannels) v_colors[c] = v_color;
      from_colors += v_color * v.colors[index * channels + c];
      if (background != nullptr) from_background += v_color * background[c];
    }
    if constexpr (Family::kFlat) from_colors += depths.load(v, index);  // the compiler would add a zero
    v_alpha = v.v_alphas[index] - from_background;
    // The outputs hold the background too: C = sum w c + (1 - alpha) bg.
    behind = from_colors - (1.0f - alpha) * from_background + alpha * v_alpha;
    if (v.v_probe != nullptr) probe = v.v_probe[index];
  }
};

// A lane's sums for one splat.
template <class Sums>
struct SplatSums {
  static constexpr int kCount = kOfSplat + Sums::kSums;

  Family::ColumnSums<float> moments;
  ZeroedSums<float, kExtras> extras;
  typename Sums::template Sums<float> payloads;

  __device__ SplatSums() : moments(Family::ColumnSums<float>::zero()) {}

  // In the order of SumTarget.
  __device__ void list(float dx, float (&sums)[kCount]) const {
    const Family::PixelSums<float> all = Family::finished(moments, dx);
    static_assert(sizeof(all) == kMoments * sizeof(float));
    memcpy(sums, &all, sizeof(all));
#pragma unroll
    for (int i = 0; i < kExtras; ++i) sums[kMoments + i] = extras.numbers[i];
    payloads.list(sums + kOfSplat);
  }
};

// Where the lane that ends up with a sum adds it.
template <class Sums>
struct SumTarget {
  float* base;  // null: nowhere
  int stride;

  __device__ SumTarget(const CompositeGrads& out, int channels, SumOwner owner) : base(nullptr), stride(0) {
    const int i = owner.index;
    if (!owner.owns) return;
    if (i < kMoments && Family::kAlongRays) {
      // The moments fill places of the frame, and that of the opacity.
      base = i < kMoments - 1 ? out.canonical + i : out.opacities;
      stride = i < kMoments - 1 ? RayInputs::kCanonical : 1;
    } else if (i < kMoments) {
      // The six moments fill the places of the mean, the root and the opacity.
      base = i < 2 ? out.means2d + i : i < 5 ? out.shapes + (i - 2) : out.opacities;
      stride = i < 2 ? 2 : i < 5 ? 3 : 1;
    } else if (i < kOfSplat) {
      base = out.extras + (i - kMoments);
      stride = kExtras;
    } else {
      const SumPlace place = Sums::place(out, channels, i - kOfSplat);
      base = place.base;
      stride = place.stride;
    }
  }

  __device__ void add(int32_t splat, float sum) const {
    if (base != nullptr) atomic_add(base + static_cast<int64_t>(splat) * stride, sum);
  }
};

// Adds the gradient of a pixel's ray where it is asked for, in memory: nobody else adds to the pixel's.
template <class Response, class Change>
__device__ void add_ray_gradient(const CompositeInputs& in, const CompositeGrads& out,
                                 const TilePixel<Response>& pixel, const Blend<Response>& blend,
                                 const Change& change) {
  if constexpr (Response::Family::kAlongRays) {
    if (out.rays == nullptr) return;
    float along = blend.at.tau;
    // What finish_ray_gradient() divides by.
    if constexpr (Response::Family::kFlat) along = sqrt(dot(pixel.direction, pixel.direction));
    const Ray<float> v = Response::Family::ray_vjp(blend.prepared, change, along, pixel.from_centre);
    float* numbers = out.rays + (pixel.numbers - in.rays.rays);
    numbers[0] += v.direction.x;
    numbers[1] += v.direction.y;
    numbers[2] += v.direction.z;
    if (pixel.from_centre) return;
    numbers[3] += v.origin.x;
    numbers[4] += v.origin.y;
    numbers[5] += v.origin.z;
  }
}

// Gradients of directions of the length 1 become those of the directions that were given.
template <class Response>
__device__ void finish_ray_gradient(const CompositeInputs& in, const CompositeGrads& out,
                                    const PixelPlace& place) {
  if constexpr (Response::Family::kAlongRays) {
    if (out.rays == nullptr || !place.exists) return;
    const float inverse_length = load_ray(in.rays, place.index).inverse_length;
    for (int i = 0; i < 3; ++i) out.rays[place.index * in.rays.numbers + i] *= inverse_length;
  }
}

// What payloads need to know how a splat moves across the image: its shape, or the rays around it, which are
// staged then.
template <class Response, bool kWanted>
struct Moves {
  using Across = Response::Family::template Across<float>;

  __device__ static Across* staged() {
    if constexpr (Response::Family::kAlongRays && kWanted) {
      __shared__ Across splats[kBatch];
      return splats;
    } else {
      return nullptr;
    }
  }
  template <int kColors>
  __device__ static void stage(const CompositeInputs& in, int64_t id,
                               const StagedSplat<Response, kColors>& splat, Across* staged) {
    if constexpr (Response::Family::kAlongRays && kWanted) {
      typename Response::Family::template Frame<float> frame;
      memcpy(&frame, splat.frame(), sizeof(frame));
      *staged = across_image<typename Response::Family>(in, id, frame);
    }
  }
  template <int kColors>
  __device__ static auto of(const StagedSplat<Response, kColors>& splat, const Across* staged) {
    if constexpr (!Response::Family::kAlongRays) {
      return splat.shape;
    } else if constexpr (kWanted) {
      return *staged;
    } else {
      return Across{};
    }
  }
};

// Adds what a pixel gives to a splat. Returns the weight with which the splat was blended there.
template <int kColors, class Sums>
__device__ float replay_splat(const CompositeInputs& in, const CompositeGradInputs& v,
                              const CompositeGrads& out, const Family::Across<float>& across,
                              const StagedSplat<Response, kColors>& splat, float dx,
                              TilePixel<Response>& pixel, PixelGrads<kColors>& grads, SplatSums<Sums>& sums) {
  GSPLAT_COUNT(pairs);
  const Blend<Response> blend(splat, dx, in.settings.max_alpha, pixel);
  if (!blend.blends) return 0.0f;
  const float weight = blend.alpha * pixel.transmittance;
  float g = grads.v_alpha;
  if constexpr (kColors == kAnyChannels) {
    const float* colors = in.colors + static_cast<int64_t>(splat.id) * in.channels;
    for (int c = 0; c < in.channels; ++c) g = fma(colors[c], v.v_colors[grads.index * in.channels + c], g);
  }
  sums.payloads.take(
      weight, [&](int c) { return splat.colors()[c]; }, [&](int c) { return grads.v_colors[c]; }, g);
  const float by_inverse = grads.depths.take(blend, g);
  grads.behind = fma(-weight, g, grads.behind);
  const float v_alpha = Over::alpha_vjp(pixel.transmittance, blend.alpha, g, grads.behind);
  pixel.transmittance = blend.behind;
  // No gradient through the cap.
  const float e = zero_unless(blend.uncapped <= in.settings.max_alpha, blend.alpha * v_alpha);
  auto change = Family::change(blend.prepared, blend.at, e);
  grads.depths.give(weight * by_inverse, change);
  Family::add(sums.moments, e, change, blend.dy, blend.at);
#pragma unroll
  for (int i = 0; i < kExtras; ++i) sums.extras.numbers[i] -= e * change.by_extras.values[i];
  add_ray_gradient(in, out, pixel, blend, change);
  const Seen<float> seen = Family::seen(across, change);
  sums.payloads.see(seen.shape, {seen.u, seen.v, seen.sloped, weight, 1.0f, grads.probe});
  return weight;
}

// Colour gradients of any number of channels, eight at a time.
template <int kColors>
__device__ void add_color_gradients(const CompositeInputs& in, const CompositeGradInputs& v, int32_t splat,
                                    const PixelGrads<kColors>& upper, const PixelGrads<kColors>& lower,
                                    float upper_weight, float lower_weight, float* v_colors) {
  constexpr int kAtOnce = 8;
  const SumOwner owner = sum_owner<kAtOnce>();
  for (int first = 0; first < in.channels; first += kAtOnce) {
    float sums[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      sums[i] = 0.0f;
      if (first + i < in.channels) {
        sums[i] = fma(upper_weight, v.v_colors[upper.index * in.channels + first + i],
                      lower_weight * v.v_colors[lower.index * in.channels + first + i]);
      }
    }
    const float sum = warp_sums(sums);
    const int channel = first + owner.index;
    if (owner.owns && channel < in.channels) {
      atomic_add(v_colors + static_cast<int64_t>(splat) * in.channels + channel, sum);
    }
  }
}

// Two of the largest blocks on a multiprocessor leave 64 registers to a thread; not everything fits into
// them.
template <int kColors>
constexpr int kBlocks = blocks_at_least<Response>(kColors == kAnyChannels ? 1 : 2);

template <class Response, int kColors, class... Extras>
__global__ void __launch_bounds__(kMostTileThreads, kBlocks<kColors>)
    composite_tiles_backward(CompositeInputs in, CompositeGradInputs v, CompositeGrads out) {
  using Row = Payloads<Extras..., Color<kColors>>;
  using Sums = SplatSums<Row>;
  __shared__ StagedBatch<Response, kColors> batch;
  const Tile tile(in);
  const PixelPlace upper_place(in, tile, pixel_x(), pixel_y());
  const PixelPlace lower_place(in, tile, pixel_x(), pixel_y() + kHalf);
  TilePixel<Response> upper(in, pixel_y(), upper_place), lower(in, pixel_y() + kHalf, lower_place);
  PixelGrads<kColors> upper_grads(in, v, tile, upper_place), lower_grads(in, v, tile, lower_place);
  const SumTarget<Row> target(out, in.channels, sum_owner<Sums::kCount>());
  using Moving = Moves<Response, (sizeof...(Extras) > 0)>;
  typename Moving::Across* const moves = Moving::staged();
  const auto stage = [&](int i, int64_t id) { Moving::stage(in, id, batch.splats[i], moves + i); };
  const auto visit = [&](int i, const StagedSplat<Response, kColors>& splat, float dx, bool in_upper,
                         bool in_lower) {
    const auto across = Moving::of(splat, moves + i);
    Sums sums;
    float upper_weight = 0.0f, lower_weight = 0.0f;
    if (in_upper) upper_weight = replay_splat(in, v, out, across, splat, dx, upper, upper_grads, sums);
    if (in_lower) lower_weight = replay_splat(in, v, out, across, splat, dx, lower, lower_grads, sums);
    if (!__any_sync(kAllLanes, upper_weight + lower_weight > 0.0f)) return;
    float listed[Sums::kCount];
    sums.list(dx, listed);
    target.add(splat.id, warp_sums(listed));
    if constexpr (kColors == kAnyChannels) {
      add_color_gradients(in, v, splat.id, upper_grads, lower_grads, upper_weight, lower_weight, out.colors);
    }
  };
  visit_splats<Response, kColors>(in, tile, 0, kColors, batch, upper, lower, stage, visit);
  finish_ray_gradient<Response>(in, out, upper_place);
  finish_ray_gradient<Response>(in, out, lower_place);
}

// The same in the order of each pixel's own, in which the lanes of a warp often meet different splats: then
// each adds its own sums to memory.
template <class Response, int kColors, class... Extras>
__global__ void __launch_bounds__(kMostTileThreads)
    composite_tiles_backward_by_pixel(CompositeInputs in, CompositeGradInputs v, CompositeGrads out) {
  using Row = Payloads<Extras..., Color<kColors>>;
  using Sums = SplatSums<Row>;
  using Moving = Moves<Response, (sizeof...(Extras) > 0)>;
  __shared__ OrderedBatch<Response> batch;
  const Tile tile = half_tile(in);
  const PixelPlace place(in, tile, pixel_x(), half_pixel_y());
  TilePixel<Response> pixel(in, half_pixel_y(), place);
  PixelGrads<kColors> grads(in, v, tile, place);
  const SumTarget<Row> target(out, in.channels, sum_owner<Sums::kCount>());
  const float x = static_cast<float>(pixel_x()) + 0.5f;
  meet_in_pixel_order<Response>(in, tile, batch, pixel, place, [&](const Hit& hit, int32_t id) {
    Sums sums;
    float weight = 0.0f, dx = 0.0f;
    if (hit.exists() && !pixel.finished()) {
      const float* shape = in.shapes + 3 * static_cast<int64_t>(id);
      const float root[3] = {shape[0], shape[1], shape[2]};
      StagedSplat<Response, kColors> splat;
      load_splat<Response, kColors>(in, tile, id, root, in.opacities[id], 0, kColors, splat);
      dx = x - splat.mean_x;
      typename Moving::Across moves = {};
      Moving::stage(in, id, splat, &moves);
      weight = replay_splat(in, v, out, Moving::of(splat, &moves), splat, dx, pixel, grads, sums);
    }
    const bool blends = weight > 0.0f;
    const uint32_t lanes = __ballot_sync(kAllLanes, blends);
    if (lanes == 0) return;
    const int32_t first_id = __shfl_sync(kAllLanes, id, __ffs(lanes) - 1);
    float listed[Sums::kCount];
    sums.list(dx, listed);
    if (__all_sync(kAllLanes, !blends || id == first_id)) {
      target.add(first_id, warp_sums(listed));
    } else if (blends) {
#pragma unroll
      for (int i = 0; i < Sums::kCount; ++i) {
        SumTarget<Row>(out, in.channels, {i, true}).add(id, listed[i]);
      }
    }
    if constexpr (kColors == kAnyChannels) {
      if (!blends) return;
      for (int c = 0; c < in.channels; ++c) {
        atomic_add(out.colors + static_cast<int64_t>(id) * in.channels + c,
                   weight * v.v_colors[grads.index * in.channels + c]);
      }
    }
  });
  finish_ray_gradient<Response>(in, out, place);
}

template <class Response, class Family = typename Response::Family>
__device__ void finish_moments(const CompositeInputs& in, int64_t id, const CompositeGrads& out) {
  if constexpr (Family::kAlongRays) {
    float sums[Family::kSums];
    memcpy(sums, out.canonical + RayInputs::kCanonical * id, sizeof(sums) - sizeof(float));
    sums[Family::kSums - 1] = out.opacities[id];
    typename Family::template Sums<float> moments;
    static_assert(sizeof(moments) == sizeof(sums));
    memcpy(&moments, sums, sizeof(moments));
    finish_ray_splat<Family>(in, id, moments, out);
  } else {
    float* mean = out.means2d + 2 * id;
    float* v_root = out.shapes + 3 * id;
    const typename Family::template PixelSums<float> moments = {mean[0],   mean[1],   v_root[0],
                                                                v_root[1], v_root[2], out.opacities[id]};
    const float* root = in.shapes + 3 * id;
    const SplatGrad<float> g = splat_vjp(moments, root[0], root[1], root[2], in.opacities[id]);
    mean[0] = g.mean_x;
    mean[1] = g.mean_y;
    v_root[0] = g.l11;
    v_root[1] = g.l21;
    v_root[2] = g.l22;
    out.opacities[id] = g.opacity;
  }
}

// Turns the moments of the visible splats into their gradients, in the same places.
template <class Response>
__global__ void __launch_bounds__(256) finish_splat_gradients(CompositeInputs in, CompositeGrads out) {
  const int64_t position = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (position >= in.lists.visible) return;
  const int64_t id = in.lists.order[position];
  if (id < 0) return;
  finish_moments<Response>(in, id, out);
  AllPayloads::finish_in_place(out, id);
}

template <int kColors, class... Extras>
void launch(Payloads<Extras...>, const CompositeInputs& in, const CompositeGradInputs& v,
            const CompositeGrads& out, Stream stream) {
  composite_tiles_backward<Response, kColors, Extras...>
      <<<tile_blocks(in), tile_threads(in), 0, stream>>>(in, v, out);
  check_launch("composite_tiles_backward");
}

template <int kColors, class... Extras>
void launch_by_pixel(Payloads<Extras...>, const CompositeInputs& in, const CompositeGradInputs& v,
                     const CompositeGrads& out, Stream stream) {
  composite_tiles_backward_by_pixel<Response, kColors, Extras...>
      <<<half_tile_blocks(in), tile_threads(in), 0, stream>>>(in, v, out);
  check_launch("composite_tiles_backward_by_pixel");
}

// What trainings ask for most has code of its own; the rest is served by code that can do more.
void launch(const CompositeInputs& in, const CompositeGradInputs& v, const CompositeGrads& out,
            Stream stream) {
  if constexpr (!Response::Family::kFlat) {  // surfels have no such order
    if (in.settings.order == Order::pixel) {
      if (in.channels == 3 && Payloads<>::suffice(out)) {
        return launch_by_pixel<3>(Payloads<>{}, in, v, out, stream);
      }
      return launch_by_pixel<kAnyChannels>(AllPayloads{}, in, v, out, stream);
    }
  }
  if (Payloads<>::suffice(out)) {
    return for_frequent_channels<Response, kAnyChannels>(
        in.channels, [&](auto channels) { launch<channels>(Payloads<>{}, in, v, out, stream); });
  }
  if constexpr (Response::kFrequent) {
    if (in.channels == 3 && Payloads<AbsGrad>::suffice(out)) {
      return launch<3>(Payloads<AbsGrad>{}, in, v, out, stream);
    }
  }
  for_channels<kAnyChannels, 3>(in.channels,
                                [&](auto channels) { launch<channels>(AllPayloads{}, in, v, out, stream); });
}

}  // namespace

void composite_backward(const CompositeInputs& in, const CompositeGradInputs& v, const CompositeGrads& out,
                        Stream stream) {
  if (in.images == 0 || in.lists.visible == 0) return;
  launch(in, v, out, stream);
  constexpr int kThreads = 256;
  finish_splat_gradients<Response><<<blocks_of(kThreads, in.lists.visible), kThreads, 0, stream>>>(in, out);
  check_launch("finish_splat_gradients");
}

}  // namespace gsplat::cuda::GSPLAT_RESPONSE
