// Everything that went wrong, as text.
#pragma once

#include <source_location>
#include <sstream>
#include <string>
#include <vector>

namespace cuda_on_cpu {

template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}

// FILE:LINE, the file without its folders.
std::string text_of(const std::source_location& site);

// "(x, y, z)"
template <class Index>
std::string text_of_index(const Index& i) {
  return text('(', i.x, ", ", i.y, ", ", i.z, ')');
}

// Adds a report about the running thread. Each problem is kept once, however many threads have it.
void report(const std::string& kind, const std::string& problem);

const std::vector<std::string>& reports();
void forget_reports();

}  // namespace cuda_on_cpu
