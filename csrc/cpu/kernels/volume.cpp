// Ray casting through a density made of Gaussians, with a packet of neighbouring pixels in the lanes.
//
// A packet walks its tile's list, which ascends by how near a ray may meet a Gaussian, slab by slab:
// Gaussians that begin before the slab ends join the active ones, and those that end before it begins leave.
// The density of a sample is summed up in the order of the list, so it does not depend on the tiles; and
// where nobody is active, a packet goes on to the next who will be.
#include "cpu/volume.h"

#include <cstring>

#include "cpu/parallel.h"
#include "cpu/simd/buffer.h"
#include "cpu/simd/simd.h"
#include "math/volume.h"

namespace gsplat::GSPLAT_ISA {
namespace {

constexpr int kPacketColumns = 4, kPacketRows = kLanes / kPacketColumns;

// A Gaussian that some of a packet's rays meet.
struct Member {
  DensityAlong<Float> along;
  float color[3];
  int32_t place;        // in flatten_ids
  int32_t first, last;  // the samples that may be inside
  DensitySums<Float> sums;
  Float weight;  // of its colour, likewise for the backward pass
};

struct Scratch {
  Buffer<Member> members;
  Buffer<int32_t> active, unused, here;  // places in `members`
};

struct Packet {
  VolumeRay<Float> ray;
  Float start;
  LaneMask exists;
  bool inside[kLanes];     // the tile and the image
  int64_t pixels[kLanes];  // of those that are

  Packet(const VolumeInputs& in, int64_t image, int x, int y, int end_x, int end_y) {
    alignas(64) float numbers[kRayNumbers][kLanes], there[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      const int column = x + lane % kPacketColumns, row = y + lane / kPacketColumns;
      inside[lane] = column < end_x && row < end_y;
      pixels[lane] = (image * in.image.height + row) * in.image.width + column;
      for (int i = 0; i < kRayNumbers; ++i) {
        numbers[i][lane] = inside[lane] ? in.rays[kRayNumbers * pixels[lane] + i] : 0.0f;
      }
      const bool any = numbers[0][lane] != 0.0f || numbers[1][lane] != 0.0f || numbers[2][lane] != 0.0f;
      there[lane] = any ? 1.0f : 0.0f;
      if (!any) numbers[2][lane] = 1.0f;  // whatever, but a direction
    }
    ray = {{Float::load(numbers[0]), Float::load(numbers[1]), Float::load(numbers[2])},
           {Float::load(numbers[3]), Float::load(numbers[4]), Float::load(numbers[5])}};
    start = Float::load(numbers[6]);
    exists = Float::load(there) > Float(0.5f);
  }

  // Of numbers [images, height, width, `stride`].
  Float load(const float* numbers, int stride, int i) const {
    alignas(64) float values[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      values[lane] = inside[lane] ? numbers[stride * pixels[lane] + i] : 0.0f;
    }
    return Float::load(values);
  }
  void store(Float value, float* numbers, int stride, int i) const {
    alignas(64) float values[kLanes];
    value.store(values);
    for (int lane = 0; lane < kLanes; ++lane) {
      if (inside[lane]) numbers[stride * pixels[lane] + i] = values[lane];
    }
  }
};

CanonicalFrame<Float> load_frame(const VolumeInputs& in, int64_t id) {
  const float* f = in.frames + kFrameNumbers * id;
  return {{{{Float(f[0]), Float(f[1]), Float(f[2])},
            {Float(f[3]), Float(f[4]), Float(f[5])},
            {Float(f[6]), Float(f[7]), Float(f[8])}}},
          {Float(f[9]), Float(f[10]), Float(f[11])}};
}

// The Gaussians in some samples of a slab.
struct Here {
  const VolumeInputs& in;
  const Packet& packet;
  Member* members;
  const int32_t* which;
  int count;
  int first;  // sample of the slab

  Float distance(int sample) const {
    return fma(Float(static_cast<float>(first + sample)), Float(in.step), packet.start);
  }

  // body(member, sample, u, density) for every member and every sample of the slab that may be inside of it.
  template <class Body>
  void each(Body&& body) const {
    const Float bound(in.log2_threshold);
    for (int i = 0; i < count; ++i) {
      Member& m = members[which[i]];
      const int begin = m.first > first ? m.first - first : 0;
      const int end = m.last < first + kSlab ? m.last - first + 1 : kSlab;
      auto&& of_sample = body(m);
      for (int s = begin; s < end; ++s) {
        const Float u = m.along.offset(distance(s)), power = m.along.log2_at(u);
        of_sample(s, u, exp2_where<Float>(power > bound, power));
      }
    }
  }
};

// Whether the Gaussian `id` is met at all; then sets all but the sums.
bool meet(const VolumeInputs& in, const Packet& packet, LaneMask alive, int64_t id, Member& m) {
  const Float bound(in.log2_threshold), step(in.step);
  m.along = density_along(load_frame(in, id), log2(Float(in.densities[id])), packet.ray);
  const LaneMask met = alive & (m.along.log2_peak > bound);
  if (!any(met)) return false;
  const Float half = half_length_above(m.along, bound), none(2.0f * kMostSamples);
  const float first = -largest(select(met, (packet.start + half - m.along.nearest) / step, -none));
  const float last = largest(select(met, (m.along.nearest + half - packet.start) / step, -none));
  // A sample more on both sides, for what rounding does; who is inside is found out for each one.
  constexpr float kMost = kMostSamples;
  m.first = first > 1.0f ? static_cast<int32_t>(first < kMost ? first : kMost) - 1 : 0;
  m.last = last > -1.0f ? static_cast<int32_t>(last < kMost ? last : kMost) + 1 : -1;
  std::memcpy(m.color, in.colors + 3 * id, sizeof(m.color));
  return m.last >= m.first;
}

// Leads a packet through the list of its tile. take(here, alive) blends a slab and says in `alive` which rays
// go on; leave(member) is told who ends.
template <class Take, class Leave>
void walk(const VolumeInputs& in, const Packet& packet, int64_t tile, Scratch& scratch, Take&& take,
          Leave&& leave) {
  int64_t next = in.lists.tile_offsets[tile];
  const int64_t end = in.lists.tile_offsets[tile + 1];
  Member* members = scratch.members.reserve(end - next);
  int32_t* active = scratch.active.reserve(end - next);
  int32_t* unused = scratch.unused.reserve(end - next);
  int32_t* here = scratch.here.reserve(end - next);
  int count = 0, unused_count = 0, used = 0;
  const auto begins = [&](int64_t n) {
    return sample_before(in, in.reaches[2 * static_cast<int64_t>(in.lists.flatten_ids[n])]);
  };
  LaneMask alive = packet.exists;
  for (int first = 0; any(alive) && (count > 0 || next < end); first += kSlab) {
    if (count == 0) {  // where the next may begin
      const int begin = begins(next);
      if (begin >= first + kSlab) first = begin / kSlab * kSlab;
    }
    for (; next < end && begins(next) < first + kSlab; ++next) {
      const int32_t place = unused_count > 0 ? unused[unused_count - 1] : used;
      Member& m = members[place];
      if (!meet(in, packet, alive, in.lists.flatten_ids[next], m) || m.last < first) continue;
      m.place = static_cast<int32_t>(next);
      m.sums = {Float(0.0f), Float(0.0f), Float(0.0f)};
      m.weight = Float(0.0f);
      unused_count > 0 ? --unused_count : ++used;
      active[count++] = place;
    }
    int left = 0, present = 0;
    for (int i = 0; i < count; ++i) {
      Member& m = members[active[i]];
      if (m.last < first) {
        leave(m);
        unused[unused_count++] = active[i];
        continue;
      }
      if (m.first < first + kSlab) here[present++] = active[i];
      active[left++] = active[i];
    }
    count = left;
    if (present > 0) take(Here{in, packet, members, here, present, first}, alive);
  }
  for (int i = 0; i < count; ++i) leave(members[active[i]]);
}

// How samples of a slab are blended: body(sample, density, weight, is_occupied) for those with a density
// somewhere. What comes through afterwards is `passed`.
template <class Body>
void blend(const Here& here, const Float (&density)[kSlab], Float& passed, LaneMask& alive, Body&& body) {
  const Float zero(0.0f), far(here.in.far), step(here.in.step), least(kLeastTransmittance);
  for (int s = 0; s < kSlab; ++s) {
    alive = alive & (here.distance(s) < far);
    const LaneMask occupied = alive & (density[s] > zero);
    if (!any(occupied)) continue;
    const Float weight = zero_unless(occupied, passed * opacity_of_thickness(density[s] * step));
    passed = passed - weight;
    body(s, select(occupied, density[s], Float(1.0f)), weight, occupied);
    alive = alive & (passed >= least);
  }
}

void cast_packet(const VolumeInputs& in, const Packet& packet, int64_t tile, Scratch& scratch,
                 const VolumeOutputs& out) {
  Float passed(1.0f), color[3] = {Float(0.0f), Float(0.0f), Float(0.0f)};
  const auto take = [&](const Here& here, LaneMask& alive) {
    Float density[kSlab], emitted[3][kSlab];
    for (int s = 0; s < kSlab; ++s) {
      density[s] = Float(0.0f);
      for (int c = 0; c < 3; ++c) emitted[c][s] = Float(0.0f);
    }
    here.each([&](const Member& m) {
      return [&, r = Float(m.color[0]), g = Float(m.color[1]), b = Float(m.color[2])](int s, Float, Float d) {
        density[s] += d;
        emitted[0][s] = fma(r, d, emitted[0][s]);
        emitted[1][s] = fma(g, d, emitted[1][s]);
        emitted[2][s] = fma(b, d, emitted[2][s]);
      };
    });
    blend(here, density, passed, alive, [&](int s, Float dense, Float weight, LaneMask) {
      const Float share = weight / dense;
      for (int c = 0; c < 3; ++c) color[c] = fma(share, emitted[c][s], color[c]);
    });
  };
  walk(in, packet, tile, scratch, take, [](const Member&) {});
  for (int c = 0; c < 3; ++c) packet.store(color[c], out.colors, 3, c);
  packet.store(passed, out.transmittances, 1, 0);
}

void cast_packet_backward(const VolumeInputs& in, const Packet& packet, int64_t tile, Scratch& scratch,
                          const VolumeGradInputs& v, float* rows, const VolumeGrads& out) {
  const Float zero(0.0f), step(in.step);
  const Float g[3] = {packet.load(v.v_colors, 3, 0), packet.load(v.v_colors, 3, 1),
                      packet.load(v.v_colors, 3, 2)};
  const auto times_g = [&](auto&& c) { return fma(g[0], c(0), fma(g[1], c(1), g[2] * c(2))); };
  // What is still to come of g times the colour, and what the last transmittance changes by.
  Float left = times_g([&](int c) { return packet.load(v.colors, 3, c); });
  const Float behind = packet.load(v.v_transmittances, 1, 0) * packet.load(v.transmittances, 1, 0);
  Float passed(1.0f), v_ray[6] = {zero, zero, zero, zero, zero, zero};
  const auto take = [&](const Here& here, LaneMask& alive) {
    Float density[kSlab], emitted[kSlab], by_density[kSlab], share[kSlab];
    for (int s = 0; s < kSlab; ++s) density[s] = emitted[s] = by_density[s] = share[s] = zero;
    const auto seen = [&](const Member& m) { return times_g([&](int c) { return Float(m.color[c]); }); };
    here.each([&](const Member& m) {
      return [&, color = seen(m)](int s, Float, Float d) {
        density[s] += d;
        emitted[s] = fma(color, d, emitted[s]);
      };
    });
    blend(here, density, passed, alive, [&](int s, Float dense, Float weight, LaneMask occupied) {
      const Float color = zero_unless(occupied, emitted[s] / dense);
      left = left - weight * color;
      share[s] = weight / dense;
      by_density[s] = zero_unless(occupied, step * (passed * color - left - behind)) - share[s] * color;
    });
    here.each([&](Member& m) {
      return [&, color = seen(m)](int s, Float u, Float d) {
        const Float w = d * fma(share[s], color, by_density[s]);
        m.sums.s0 += w;
        m.sums.s1 = fma(w, u, m.sums.s1);
        m.sums.s2 = fma(w * u, u, m.sums.s2);
        m.weight = fma(share[s], d, m.weight);
      };
    });
  };
  const VolumeRay<Float>& ray = packet.ray;
  const auto leave = [&](const Member& m) {
    Vec3<Float> v_og, v_dg;
    density_along_vjp(m.along, m.sums, v_og, v_dg);
    const auto row_of_turn = [&](Float by_og, Float by_dg, Float* to) {
      to[0] = fma(by_og, ray.origin.x, by_dg * ray.d.x);
      to[1] = fma(by_og, ray.origin.y, by_dg * ray.d.y);
      to[2] = fma(by_og, ray.origin.z, by_dg * ray.d.z);
    };
    Float sums[kVolumeGrads];
    row_of_turn(v_og.x, v_dg.x, sums);
    row_of_turn(v_og.y, v_dg.y, sums + 3);
    row_of_turn(v_og.z, v_dg.z, sums + 6);
    sums[9] = v_og.x;
    sums[10] = v_og.y;
    sums[11] = v_og.z;
    sums[12] = m.sums.s0;
    for (int c = 0; c < 3; ++c) sums[13 + c] = m.weight * g[c];
    float totals[kVolumeGrads];
    sums8(sums, totals);
    sums8(sums + 8, totals + 8);
    float* row = rows + kVolumeGrads * static_cast<int64_t>(m.place);
    for (int i = 0; i < kVolumeGrads; ++i) row[i] += totals[i];
    if (out.rays == nullptr) return;
    const Mat3<Float> turn = load_frame(in, in.lists.flatten_ids[m.place]).turn;
    const Vec3<Float> v_d = multiply_transposed(turn, v_dg), v_o = multiply_transposed(turn, v_og);
    const Float by_ray[6] = {v_d.x, v_d.y, v_d.z, v_o.x, v_o.y, v_o.z};
    for (int i = 0; i < 6; ++i) v_ray[i] += by_ray[i];
  };
  walk(in, packet, tile, scratch, take, leave);
  if (out.rays == nullptr) return;
  for (int i = 0; i < 6; ++i) packet.store(zero_unless(packet.exists, v_ray[i]), out.rays, 6, i);
}
static_assert(kVolumeGrads == 16);

// body(tile, packet, scratch) for all packets of all tiles, those of a tile one after the other.
template <class Body>
void each_packet(const VolumeInputs& in, Body&& body) {
  const TileGrid grid(in.image, in.tile_size);
  parallel_dynamic(in.images * grid.count(), [&](int64_t tile) {
    Scratch& scratch = per_thread<Scratch>();
    const int64_t image = tile / grid.count(), place = tile % grid.count();
    const int x0 = static_cast<int>(place % grid.columns) * in.tile_size;
    const int y0 = static_cast<int>(place / grid.columns) * in.tile_size;
    const int end_x = x0 + in.tile_size < in.image.width ? x0 + in.tile_size : in.image.width;
    const int end_y = y0 + in.tile_size < in.image.height ? y0 + in.tile_size : in.image.height;
    for (int y = y0; y < end_y; y += kPacketRows) {
      for (int x = x0; x < end_x; x += kPacketColumns) {
        body(tile, Packet(in, image, x, y, end_x, end_y), scratch);
      }
    }
  });
}

}  // namespace

void cast_rays(const VolumeInputs& in, const VolumeOutputs& out) {
  each_packet(in, [&](int64_t tile, const Packet& packet, Scratch& scratch) {
    cast_packet(in, packet, tile, scratch, out);
  });
}

void cast_rays_backward(const VolumeInputs& in, const VolumeGradInputs& v, const VolumeGrads& out) {
  float* rows = per_thread<Buffer<float>>().reserve(kVolumeGrads * in.lists.intersections);
  parallel_for(in.lists.intersections, 4096, [&](int64_t begin, int64_t end) {
    std::memset(rows + kVolumeGrads * begin, 0, sizeof(float) * kVolumeGrads * (end - begin));
  });
  each_packet(in, [&](int64_t tile, const Packet& packet, Scratch& scratch) {
    cast_packet_backward(in, packet, tile, scratch, v, rows, out);
  });
  parallel_for(in.lists.visible, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t id = in.lists.order[i];
      float* total = out.gaussians + kVolumeGrads * id;
      for (int64_t s = in.lists.slot_offsets[i]; s < in.lists.slot_offsets[i + 1]; ++s) {
        const float* row = rows + kVolumeGrads * static_cast<int64_t>(in.lists.slots[s]);
        for (int k = 0; k < kVolumeGrads; ++k) total[k] += row[k];
      }
      total[kFrameNumbers] /= in.densities[id];
    }
  });
}

}  // namespace gsplat::GSPLAT_ISA
