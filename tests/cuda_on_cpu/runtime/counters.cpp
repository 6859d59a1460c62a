#include "counters.h"

#include "reports.h"

namespace cuda_on_cpu {

std::map<std::string, Counters> counters;

namespace {

std::string as_json(const Turns& turns) { return text('[', turns.lanes, ", ", turns.warps, ']'); }

std::string as_json(const std::map<std::string, Turns>& all) {
  std::string json;
  for (const auto& [name, turns] : all)
    json += text(json.empty() ? "" : ", ", '"', name, "\": ", as_json(turns));
  return "{" + json + "}";
}

std::string as_json(const std::set<std::pair<std::string_view, unsigned>>& waits) {
  std::string json;
  for (const auto& [file, line] : waits) {
    const std::string_view name = file.substr(file.rfind('/') + 1);
    json += text(json.empty() ? "" : ", ", '"', name, ':', line, '"');
  }
  return "[" + json + "]";
}

std::string as_json(const Counters& c) {
  return text("{\"launches\": ", c.launches, ", \"blocks\": ", c.blocks, ", \"threads\": ", c.threads,
              ", \"barriers\": ", c.barriers, ", \"warp_collectives\": ", c.warp_collectives,
              ", \"global_atomics\": ", c.global_atomics, ", \"shared_atomics\": ", c.shared_atomics,
              ", \"shared_bytes\": ", c.shared_bytes, ", \"global_load_bytes\": ", c.global_load_bytes,
              ", \"global_store_bytes\": ", c.global_store_bytes,
              ", \"shared_load_bytes\": ", c.shared_load_bytes,
              ", \"shared_store_bytes\": ", c.shared_store_bytes,
              ", \"memory_instructions\": ", as_json(c.memory_instructions),
              ", \"global_requests\": ", c.global_requests, ", \"global_sectors\": ", c.global_sectors,
              ", \"waits\": ", as_json(c.waits), ", \"events\": ", as_json(c.events),
              ", \"lines\": ", as_json(c.lines), "}");
}

}  // namespace

std::string counters_as_json() {
  std::string json;
  for (const auto& [kernel, c] : counters) {
    json += text(json.empty() ? "" : ",\n", '"', kernel, "\": ", as_json(c));
  }
  return "{" + json + "}";
}

}  // namespace cuda_on_cpu
