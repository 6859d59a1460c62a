#include "reports.h"

#include <cstring>
#include <set>

#include "block.h"
#include "emulation/indices.h"

namespace cuda_on_cpu {

namespace {
constexpr size_t kMostReports = 100;
std::vector<std::string> kept;
std::set<std::string> known;

std::string running_thread() {
  if (running == nullptr) return {};
  std::string where = text(" [kernel ", running->kernel(), ", block ", text_of_index(indices.block));
  if (const Thread* thread = running->current()) {
    where +=
        text(", thread ", text_of_index(thread->index), ", warp ", thread->warp(), ", lane ", thread->lane());
  }
  return where + "]";
}
}  // namespace

std::string text_of(const std::source_location& site) {
  const char* slash = strrchr(site.file_name(), '/');
  return text(slash != nullptr ? slash + 1 : site.file_name(), ':', site.line());
}

void report(const std::string& kind, const std::string& problem) {
  if (kept.size() >= kMostReports || !known.insert(kind + problem).second) return;
  kept.push_back(kind + ": " + problem + running_thread());
}

const std::vector<std::string>& reports() { return kept; }

void forget_reports() {
  kept.clear();
  known.clear();
}

}  // namespace cuda_on_cpu
