// Values of a radiative field at the centres of voxels.
//
// The forward pass walks over tiles of columns along z, each of whose voxels adds up the tile's list in its
// order; in the backward pass each Gaussian looks up the gradients of its voxels.
#include "cpu/parallel.h"
#include "cpu/radiative.h"
#include "cpu/simd/buffer.h"
#include "cpu/simd/projection_lanes.h"
#include "cpu/simd/row_spans.h"
#include "math/ellipsoid.h"

namespace gsplat::GSPLAT_ISA {
namespace {

struct Record {
  float mean_x, mean_y, mean_z;
  float zz, zy, zx, yy, yx, xx;  // scaled
  float log2_opacity;
  float half_x, half_z;  // of the box around it; negative where it is culled
};

using Gaussians = Gaussian<Float, ScaledRotation>;

Gaussians load_lanes(const VoxelInputs& in, int64_t first, int count) {
  GaussianInputs arrays = {};
  arrays.means = in.means;
  arrays.quats = in.quats;
  arrays.scales = in.scales;
  arrays.opacities = in.opacities;
  return load_gaussians<ScaledRotation>(arrays, first, count);
}

void make_records(const VoxelInputs& in, const Gaussians& g, int64_t first, int count, Record* records) {
  const VoxelGrid& grid = in.grid;
  const Vec3<Float> origin = {Float(grid.origin[0]), Float(grid.origin[1]), Float(grid.origin[2])};
  const Vec3<Float> spacing = {Float(grid.spacing[0]), Float(grid.spacing[1]), Float(grid.spacing[2])};
  const Float least(static_cast<float>(1.0 / 255.0)), zero(0.0f);
  const Ellipsoid<Float> e = ellipsoid(g, origin, spacing, log2(max(g.opacity, least)));
  const Float reach = sqrt(max(e.log2_opacity - Float(kMinPower), zero));
  // Along x the root is the inverse of the deviation; that along z is the length of a row of the Gaussian's
  // root.
  const Mat3<Float> r = rotation_matrix(g.shape.quaternion);
  const Vec3<Float> row = {r.m[2][0] * g.shape.scales.x, r.m[2][1] * g.shape.scales.y,
                           r.m[2][2] * g.shape.scales.z};
  const Float half_x = reach / abs(e.xx);
  const Float half_z = reach * sqrt(dot(row, row)) / (spacing.z * Float(static_cast<float>(kRootScale)));
  const LaneMask seen = visible_lanes(in.radii + 2 * first, count) & has_root(e);
  LaneBlock<12> block;
  const Float slack(1.0f + 1e-5f), padding(2e-3f), culled(-1.0f);
  const Float numbers[12] = {e.mean.x,
                             e.mean.y,
                             e.mean.z,
                             e.zz,
                             e.zy,
                             e.zx,
                             e.yy,
                             e.yx,
                             e.xx,
                             e.log2_opacity,
                             select(seen, fma(half_x, slack, padding), culled),
                             select(seen, fma(half_z, slack, padding), culled)};
  for (int i = 0; i < 12; ++i) block.set(i, numbers[i]);
  block.store(reinterpret_cast<float*>(records), 12, count);
}

// Columns of voxels, from the first up to before the last.
struct ColumnBox {
  int x0, y0, x1, y1;
};

struct Range {
  int first, end;

  // The voxels between `low` and `high`, or a few more.
  Range(float low, float high, int begin, int beyond) : first(begin), end(begin) {
    const float from = static_cast<float>(begin), to = static_cast<float>(beyond);
    if (!(high >= from && low <= to)) return;
    if (low - 0.5f > from) first = static_cast<int>(low - 0.5f);
    end = high - 0.5f < to - 1.0f ? static_cast<int>(high - 0.5f) + 1 : beyond;
  }
};

// body(x, y, first, last, row, v, w) for each column in a box that reaches the Gaussian.
template <class Body>
[[gnu::always_inline]] inline void each_column(const Record& r, const ColumnBox& box, int depth,
                                               Body&& body) {
  if (!(r.half_x > 0.0f && r.mean_z + r.half_z > 0.0f && r.mean_z - r.half_z < static_cast<float>(depth)))
    return;
  const Range planes(r.mean_x - r.half_x, r.mean_x + r.half_x, box.x0, box.x1);
  const Float centres = lane_centres(), mean_z(r.mean_z), slope(r.zz), inverse_slope(1.0f / r.zz);
  const float inverse_yy = 1.0f / r.yy;
  alignas(64) float shifts[kLanes], powers[kLanes], vs[kLanes];
  for (int x = planes.first; x < planes.end; ++x) {
    const float dx = (static_cast<float>(x) + 0.5f) - r.mean_x, w = r.xx * dx;
    const float above = fma(-w, w, r.log2_opacity) - static_cast<float>(kMinPower);
    if (!(above >= 0.0f)) continue;
    const float reach = sqrt(above), lean = r.yx * dx;
    const float padding = fma(1e-5f * (reach + abs(lean)), inverse_yy, 2e-3f);
    const Range rows(r.mean_y - (reach + lean) * inverse_yy - padding,
                     r.mean_y + (reach - lean) * inverse_yy + padding, box.y0, box.y1);
    for (int y = rows.first; y < rows.end; y += kLanes) {
      const Float dy = (Float(static_cast<float>(y)) + centres) - Float(r.mean_y);
      const Float v = fma(Float(r.yy), dy, Float(lean)), shift = fma(Float(r.zy), dy, Float(r.zx * dx));
      const Float power = fma(-v, v, fma(Float(-w), Float(w), Float(r.log2_opacity)));
      v.store(vs);
      shift.store(shifts);
      power.store(powers);
      const RowSpans spans(mean_z, inverse_slope, shift, power - Float(kMinPower), 0, depth);
      const int count = rows.end - y < kLanes ? rows.end - y : kLanes;
      for (int i = 0; i < count; ++i) {
        const int first = static_cast<int>(spans.firsts[i]), last = static_cast<int>(spans.lasts[i]);
        if (first <= last)
          body(x, y + i, first, last, GaussianRow{mean_z, slope, Float(shifts[i]), Float(powers[i])},
               Float(vs[i]), Float(w));
      }
    }
  }
}

struct RecordBuffer : Buffer<Record> {};
struct ColumnBuffer : Buffer<float> {};

}  // namespace

void voxelize(const VoxelInputs& in, const SumLists& lists, float* volume) {
  const VoxelGrid& grid = in.grid;
  const int rows = grid.shape[0], columns = grid.shape[1], depth = grid.shape[2];
  Record* records = per_thread<RecordBuffer>().reserve(in.gaussians);  // the caller's, in all threads
  parallel_for((in.gaussians + kLanes - 1) / kLanes, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * kLanes; i < end * kLanes && i < in.gaussians; i += kLanes) {
      const int count = in.gaussians - i < kLanes ? static_cast<int>(in.gaussians - i) : kLanes;
      make_records(in, load_lanes(in, i, count), i, count, records + i);
    }
  });
  const TileGrid tiles({columns, rows}, kVoxelTile);
  const Float centres = lane_centres();
  const int64_t stride = depth + kLanes;  // room for vectors that begin in a column
  parallel_dynamic(tiles.count(), [&](int64_t tile) {
    const int x0 = static_cast<int>(tile / tiles.columns) * kVoxelTile;
    const int y0 = static_cast<int>(tile % tiles.columns) * kVoxelTile;
    const int x1 = x0 + kVoxelTile < rows ? x0 + kVoxelTile : rows;
    const int y1 = y0 + kVoxelTile < columns ? y0 + kVoxelTile : columns;
    float* voxels = per_thread<ColumnBuffer>().reserve(kVoxelTile * kVoxelTile * stride);
    for (int64_t i = 0; i < kVoxelTile * kVoxelTile * stride; ++i) voxels[i] = 0.0f;
    for (int64_t i = lists.tile_offsets[tile]; i < lists.tile_offsets[tile + 1]; ++i) {
      each_column(records[lists.flatten_ids[i]], {x0, y0, x1, y1}, depth,
                  [&](int x, int y, int first, int last, const GaussianRow& row, Float, Float)
                      __attribute__((always_inline)) {
                        float* column = voxels + ((x - x0) * kVoxelTile + (y - y0)) * stride;
                        for (int z = first; z <= last; z += kLanes) {
                          (Float::load(column + z) + row.at(z, centres).value).store(column + z);
                        }
                      });
    }
    for (int x = x0; x < x1; ++x) {
      for (int y = y0; y < y1; ++y) {
        const float* column = voxels + ((x - x0) * kVoxelTile + (y - y0)) * stride;
        float* target = volume + (static_cast<int64_t>(x) * columns + y) * depth;
        for (int z = 0; z < depth; ++z) target[z] = in.unit * column[z];
      }
    }
  });
}

void voxelize_backward(const VoxelInputs& in, const float* v_volume, const VoxelGrads& out) {
  const VoxelGrid& grid = in.grid;
  const int rows = grid.shape[0], columns = grid.shape[1], depth = grid.shape[2];
  const Float centres = lane_centres(), zero(0.0f);
  GaussianGrads grads = {};
  grads.quats = out.quats;
  grads.scales = out.scales;
  parallel_dynamic((in.gaussians + kLanes - 1) / kLanes, [&](int64_t group) {
    const int64_t first_id = group * kLanes;
    const int count = in.gaussians - first_id < kLanes ? static_cast<int>(in.gaussians - first_id) : kLanes;
    const Gaussians gaussians = load_lanes(in, first_id, count);
    alignas(64) Record records[kLanes];
    make_records(in, gaussians, first_id, count, records);
    alignas(64) float sums[kEllipsoidMoments][kLanes] = {};
    for (int lane = 0; lane < count; ++lane) {
      Float m[kEllipsoidMoments];
      for (Float& moment : m) moment = zero;
      each_column(records[lane], {0, 0, rows, columns}, depth,
                  [&](int x, int y, int first, int last, const GaussianRow& row, Float v,
                      Float w) __attribute__((always_inline)) {
                    const float* v_column = v_volume + (static_cast<int64_t>(x) * columns + y) * depth;
                    Float e = zero, eu = zero, euu = zero;
                    for (int z = first; z <= last; z += kLanes) {
                      const GaussianRow::At at = row.at(z, centres);
                      const Float here = at.value * load_first(v_column + z, depth - z), by_u = here * at.u;
                      e += here;
                      eu += by_u;
                      euu = fma(by_u, at.u, euu);
                    }
                    const Float ev = e * v, ew = e * w;
                    m[0] += e;
                    m[1] += eu;
                    m[2] += ev;
                    m[3] += ew;
                    m[4] += euu;
                    m[5] = fma(eu, v, m[5]);
                    m[6] = fma(eu, w, m[6]);
                    m[7] = fma(ev, v, m[7]);
                    m[8] = fma(ev, w, m[8]);
                    m[9] = fma(ew, w, m[9]);
                  });
      for (int k = 0; k < kEllipsoidMoments; ++k) sums[k][lane] = in.unit * sum(m[k]);
    }
    Float m[kEllipsoidMoments];
    LaneMask some = nonzero(zero);
    for (int k = 0; k < kEllipsoidMoments; ++k) {
      m[k] = Float::load(sums[k]);
      some = some | nonzero(m[k]);
    }
    const auto g = ellipsoid_vjp(gaussians, {m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9]});
    store_vec3(zero_unless(some, g.mean), out.means + 3 * first_id, 3, count);
    auto v_shape = ShapeArrays<ScaledRotation>::zero();
    ShapeArrays<ScaledRotation>::add(v_shape, some, g.shape);
    ShapeArrays<ScaledRotation>::store(grads, first_id, count, v_shape);
    LaneBlock<1> opacity;
    opacity.set(0, zero_unless(some, g.opacity));
    opacity.store(out.opacities + first_id, 1, count);
  });
}

}  // namespace gsplat::GSPLAT_ISA
