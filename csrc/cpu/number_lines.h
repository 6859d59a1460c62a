// Reads lines of numbers in text, such as the sparse models of structure from motion are kept in.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace gsplat {

// What the numbers of a line are, a letter each: 'i' is a whole number of up to 18 digits, 'b' one from 0 to
// 255, 'd' a number. A line has those of `head` once, and those of `tail` any number of times.
struct LinePattern {
  std::string_view head;
  std::string_view tail;
};

// The numbers of lines, in their order.
struct NumberLines {
  std::vector<int64_t> head_integers;
  std::vector<double> head_numbers;
  std::vector<int64_t> tail_integers;
  std::vector<double> tail_numbers;
  std::vector<int64_t> repeats;  // of the tail, for each line
  int64_t size = 0;              // of the text that was read, with the ends of the lines
};

// Reads lines from the start of `text` until its end, or until one that does not have the pattern or has a
// number in a form other than -123.456e-7. That line is for a slower reader, which knows more forms and can
// tell what is wrong: whole numbers of more than 18 digits, numbers of more than 19 or with an exponent that
// is not small, signs of plus, infinities, NaN.
//
// Numbers are the nearest doubles, as IEEE 754 asks for. Between them are blanks, tabs and the like; the last
// line needs no end.
NumberLines read_number_lines(std::string_view text, const LinePattern& pattern);

}  // namespace gsplat
