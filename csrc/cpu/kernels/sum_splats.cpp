// Sums of splats in pixels, without order and without end: line integrals of a radiative field.
//
// The forward pass walks over tiles, each of whose pixels adds up the tile's list in its order. In a sum
// nothing depends on what lies in front, so the backward pass needs no lists: each splat looks up the
// gradients of its pixels.
#include "cpu/parallel.h"
#include "cpu/radiative.h"
#include "cpu/simd/block_images.h"
#include "cpu/simd/row_spans.h"
#include "math/response/gaussian.h"

namespace gsplat::GSPLAT_ISA {
namespace {

// Splats, one in each lane.
struct SplatLanes {
  alignas(64) float mean_x[kLanes], mean_y[kLanes];
  alignas(64) float l11[kLanes], l21[kLanes], l22[kLanes];  // scaled
  alignas(64) float inverse_l11[kLanes], log2_opacity[kLanes], half_y[kLanes];

  // id(lane) of `count`.
  template <class Id>
  SplatLanes(const SummedSplats& in, int count, Id&& id) {
    alignas(64) float opacity[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      const int64_t i = id(lane < count ? lane : count - 1);
      mean_x[lane] = in.means2d[2 * i];
      mean_y[lane] = in.means2d[2 * i + 1];
      l11[lane] = in.shapes[3 * i];
      l21[lane] = in.shapes[3 * i + 1];
      l22[lane] = in.shapes[3 * i + 2];
      opacity[lane] = in.opacities[i];
    }
    const Float scale(static_cast<float>(kRootScale)), found = Float::load(opacity);
    const Float power = log2(max(found, Float(1e-30f)));
    const Float first = scale * Float::load(l11), second = scale * Float::load(l22);
    first.store(l11);
    (scale * Float::load(l21)).store(l21);
    second.store(l22);
    (Float(1.0f) / first).store(inverse_l11);
    power.store(log2_opacity);
    const Float reach = sqrt(max(power - Float(kMinPower), Float(0.0f))) / second;
    const Float half = fma(reach, Float(1.0f + 1e-5f), Float(2e-3f));
    select(found > Float(0.0f), half, Float(-1.0f)).store(half_y);  // culled
  }
};

// Pixels from the first up to before the last.
struct PixelBox {
  int left, top, right, bottom;
};

// body(y, first, last, row, v) for each row in a box that reaches the splat of a lane.
template <class Body>
[[gnu::always_inline]] inline void each_row(const SplatLanes& s, int lane, const PixelBox& box, Body&& body) {
  const float mean = s.mean_y[lane], half = s.half_y[lane];
  if (!(half > 0.0f)) return;
  const float top = mean - half - 0.5f, bottom = mean + half - 0.5f;
  if (!(bottom >= static_cast<float>(box.top) && top <= static_cast<float>(box.bottom))) return;
  const int first_row = top > static_cast<float>(box.top) ? static_cast<int>(top) : box.top;
  const int end_row = bottom < static_cast<float>(box.bottom - 1) ? static_cast<int>(bottom) + 1 : box.bottom;
  const Float centres = lane_centres(), mean_x(s.mean_x[lane]), slope(s.l11[lane]);
  alignas(64) float shifts[kLanes], powers[kLanes], vs[kLanes];
  for (int y = first_row; y < end_row; y += kLanes) {
    const Float dy = (Float(static_cast<float>(y)) + centres) - Float(mean);
    const Float v = Float(s.l22[lane]) * dy, shift = Float(s.l21[lane]) * dy;
    const Float power = fma(-v, v, Float(s.log2_opacity[lane]));
    v.store(vs);
    shift.store(shifts);
    power.store(powers);
    const RowSpans spans(mean_x, Float(s.inverse_l11[lane]), shift, power - Float(kMinPower), box.left,
                         box.right);
    const int rows = end_row - y < kLanes ? end_row - y : kLanes;
    for (int i = 0; i < rows; ++i) {
      const int first = static_cast<int>(spans.firsts[i]), last = static_cast<int>(spans.lasts[i]);
      if (first <= last)
        body(y + i, first, last, GaussianRow{mean_x, slope, Float(shifts[i]), Float(powers[i])},
             Float(vs[i]));
    }
  }
}

// The splats of a block's list, as compositing finds them.
CompositeInputs listed(const SummedSplats& in, const SumLists& lists) {
  CompositeInputs listed = {};
  listed.images = in.images;
  listed.gaussians = in.gaussians;
  listed.image = in.image;
  listed.settings.tile_size = lists.tile_size;
  listed.means2d = in.means2d;
  listed.shapes = in.shapes;
  listed.opacities = in.opacities;
  listed.lists.tile_offsets = lists.tile_offsets;
  listed.lists.flatten_ids = lists.flatten_ids;
  return listed;
}

struct BlockScratch {
  BlockSplats<GaussianResponse> splats;
};

// Adds a splat to the pixels of some cells of a block.
[[gnu::always_inline]] inline void add_splat(const SplatRecord<GaussianResponse>& r, const BlockPlace& place,
                                             CellSet cells, float* sums) {
  const Float half(0.5f), mean_x(r.mean_x), mean_y(r.mean_y), l11(r.shape.l11), l21(r.shape.l21),
      l22(r.shape.l22), top(r.shape.log2_opacity);
  each_cell(cells, [&](int cell) __attribute__((always_inline)) {
    const Float x(static_cast<float>(place.x + cell % kCellsPerRow * kCellSide) + 0.5f);
    const Float y(static_cast<float>(place.y + cell / kCellsPerRow * kCellSide) + 0.5f);
    repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
      const Float dx = (x + Float::load(kColumnOf + i * kLanes)) - mean_x;
      const Float dy = (y + Float::load(kRowOf + i * kLanes)) - mean_y;
      const Float v = l22 * dy;
      const GaussianRow row = {mean_x, l11, l21 * dy, fma(-v, v, top)};
      float* sum = sums + cell * kCellPixels + i * kLanes;
      (Float::load(sum) + row.at_offset(dx).value).store(sum);
    });
  });
}

}  // namespace

void sum_splats(const SummedSplats& in, const SumLists& lists, float* sums) {
  const CompositeInputs splats_in = listed(in, lists);
  const auto* records = make_records<GaussianResponse>(splats_in);
  TileWalk(in.image, lists.tile_size).each_block(in.images, [&](int64_t tile, int, const BlockPlace& place) {
    BlockSplats<GaussianResponse>& splats = per_thread<BlockScratch>().splats;
    splats.gather(splats_in, records, tile, place);
    alignas(64) float pixels[kBlockPixels] = {};
    for (int n = 0; n < splats.count(); ++n) {
      const CellSet cells = splats.cells(n);
      if (cells != 0) add_splat(splats[n], place, cells, pixels);
    }
    for (float& pixel : pixels) pixel *= in.unit;
    write_plane(pixels, in.image, place, sums);
  });
}

void sum_splats_backward(const SummedSplats& in, const float* v_sums, const SummedSplatGrads& out) {
  const int64_t groups = (in.gaussians + kLanes - 1) / kLanes;
  const Float centres = lane_centres(), zero(0.0f);
  const PixelBox box = {0, 0, in.image.width, in.image.height};
  parallel_dynamic(in.images * groups, [&](int64_t group) {
    const int64_t image = group / groups, begin = group % groups * kLanes,
                  first_id = image * in.gaussians + begin;
    const int count = in.gaussians - begin < kLanes ? static_cast<int>(in.gaussians - begin) : kLanes;
    const float* v_image = v_sums + image * in.image.width * in.image.height;
    const SplatLanes splats(in, count, [&](int lane) { return first_id + lane; });
    for (int lane = 0; lane < count; ++lane) {
      auto moments = QuadraticMoments<Float>::zero();
      each_row(
          splats, lane, box,
          [&](int y, int first, int last, const GaussianRow& row, Float v) __attribute__((always_inline)) {
            const float* v_row = v_image + static_cast<int64_t>(y) * in.image.width;
            Float e = zero, eu = zero, euu = zero;
            for (int x = first; x <= last; x += kLanes) {
              const GaussianRow::At at = row.at(x, centres);
              const Float here = at.value * load_first(v_row + x, in.image.width - x), by_u = here * at.u;
              e += here;
              eu += by_u;
              euu = fma(by_u, at.u, euu);
            }
            const Float ev = e * v;
            moments.e += e;
            moments.eu += eu;
            moments.euu += euu;
            moments.ev += ev;
            moments.euv = fma(eu, v, moments.euv);
            moments.evv = fma(ev, v, moments.evv);
          });
      const int64_t id = first_id + lane;
      SplatGrad<float> g = {};
      if (in.opacities[id] > 0.0f) {
        const float unit = in.unit;
        const QuadraticMoments<float> all = {unit * sum(moments.e),   unit * sum(moments.eu),
                                             unit * sum(moments.ev),  unit * sum(moments.euu),
                                             unit * sum(moments.euv), unit * sum(moments.evv)};
        g = splat_vjp(all, in.shapes[3 * id], in.shapes[3 * id + 1], in.shapes[3 * id + 2], in.opacities[id]);
      }
      out.means2d[2 * id] = g.mean_x;
      out.means2d[2 * id + 1] = g.mean_y;
      out.shapes[3 * id] = g.l11;
      out.shapes[3 * id + 1] = g.l21;
      out.shapes[3 * id + 2] = g.l22;
      out.opacities[id] = g.opacity;
    }
  });
}

}  // namespace gsplat::GSPLAT_ISA
