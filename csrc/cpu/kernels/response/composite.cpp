// Front-to-back compositing of the splats of each tile.
//
// Tiles are independent; within a block of one, the loop runs over splats, then over the cells of pixels that
// the splat touches.
#include "cpu/compositing.h"
#include "cpu/parallel.h"
#include "cpu/simd/block_images.h"
#include "cpu/simd/pixel_order.h"
#include "math/response/selected.h"

namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE {
namespace {

using Response = GSPLAT_RESPONSE_TYPE;
using Family = Response::Family;

struct BlockScratch {
  BlockSplats<Response> splats;
  Buffer<float> colors;  // [channel, pixel of a block]
  Buffer<float> depths;  // [kDepths, pixel of a block], of surfels
};

// Adds the depths of what pixels of a cell see of a surfel.
template <class Response>
[[gnu::always_inline]] inline void add_depths(const CellResponse<Response>& at, const Float* weight, int cell,
                                              float* depths) {
  repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
    float* sums = depths + cell * kCellPixels + i * kLanes;
    const Vec3<Float> of = Response::Family::depths(at.pixel[i]);
    fma(weight[i], of.x, Float::load(sums)).store(sums);
    fma(weight[i], of.y, Float::load(sums + kBlockPixels)).store(sums + kBlockPixels);
    fma(weight[i], of.z, Float::load(sums + 2 * kBlockPixels)).store(sums + 2 * kBlockPixels);
  });
}

// Blends the splats of a block's list into `colors`, and into `depths` if they are wanted, which are zero at
// first.
template <int kChannels, class BlendOrder>
void composite_block(const CompositeInputs& in, const BlockSplats<Response>& splats, const BlockPlace& place,
                     const BlendOrder& order, float* colors, float* depths) {
  const Float max_alpha(in.settings.max_alpha);
  for (int n = 0; n < splats.count() && !order.finished(); ++n) {
    if constexpr (kChannels == kDynamic) splats.prefetch_color(in, n);
    const CellSet cells = order.cells(n);
    if (cells == 0) continue;
    const float* color = splats.color<kChannels>(in, n);
    const auto blend = [&](int cell, const Float* weight) __attribute__((always_inline)) {
      float* sums = colors + cell * kCellPixels;
      const auto add_channel = [&](int c) __attribute__((always_inline)) {
        repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
          float* sum = sums + c * kBlockPixels + i * kLanes;
          fma(weight[i], Float(color[c]), Float::load(sum)).store(sum);
        });
      };
      if constexpr (kChannels != kDynamic) {
        repeat<kChannels>(add_channel);
      } else {
        for (int c = 0; c < in.channels; ++c) add_channel(c);
      }
    };
    if constexpr (Family::kFlat && !BlendOrder::kOfPixels) {
      order.each_weight(n, place, cells, max_alpha,
                        [&](int cell, const Float* weight, const CellResponse<Response>& at)
                            __attribute__((always_inline)) {
                              blend(cell, weight);
                              if (depths != nullptr) add_depths(at, weight, cell, depths);
                            });
    } else {
      order.each_weight(n, place, cells, max_alpha, blend);
    }
  }
}

template <int kChannels, class BlendOrder>
void composite_all(const CompositeInputs& in, const CompositeOutputs& out) {
  const auto* records = make_records<Response>(in);
  TileWalk(in.image, in.settings.tile_size)
      .each_block(in.images, [&](int64_t tile, int, const BlockPlace& place) {
        BlockScratch& scratch = per_thread<BlockScratch>();
        scratch.splats.gather(in, records, tile, place);
        float* colors = zero_planes(scratch.colors, in.channels);
        float* depths = out.depths == nullptr ? nullptr : zero_planes(scratch.depths, kDepths);
        BlockPixels<Response> state(in, place);
        const BlendOrder order(in, scratch.splats, place, state);
        composite_block<kChannels>(in, scratch.splats, place, order, colors, depths);
        if (depths != nullptr) write_planes(depths, kDepths, in.image, place, out.depths);
        write_colors<kChannels>(in, place, colors, state.transmittance, out.colors);
        for (float& t : state.transmittance) t = 1.0f - t;
        write_plane(state.transmittance, in.image, place, out.alphas);
      });
}

}  // namespace

void composite(const CompositeInputs& in, const CompositeOutputs& out) {
  if constexpr (!Family::kFlat) {  // surfels have no such order
    if (in.settings.order == Order::pixel) {
      return for_channels<kDynamic, 3>(
          in.channels, [&](auto channels) { composite_all<channels, PixelOrder<Response>>(in, out); });
    }
  }
  for_frequent_channels<Response, kDynamic>(
      in.channels, [&](auto channels) { composite_all<channels, ListOrder<Response>>(in, out); });
}

}  // namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE
