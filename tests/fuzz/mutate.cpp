// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

#include "fuzz.h"
#include "weft/support/archive.h"

namespace weft::fuzz {

namespace {

constexpr std::size_t kMaxInput = std::size_t{1} << 18;

std::size_t below(std::mt19937_64& random, std::size_t bound) { return bound == 0 ? 0 : random() % bound; }

// Sizes, counts and offsets that parsers get wrong: around zero, around powers of two, all ones.
std::uint64_t interesting(std::mt19937_64& random) {
  const std::uint64_t power = std::uint64_t{1} << below(random, 64);
  switch (below(random, 6)) {
    case 0:
      return below(random, 4);
    case 1:
      return power;
    case 2:
      return power - 1;
    case 3:
      return ~std::uint64_t{0} - below(random, 3);
    case 4:
      return std::uint64_t{0} - power;
    default:
      return random();
  }
}

void overwrite_integer(std::string& s, std::mt19937_64& random) {
  constexpr std::array<std::size_t, 4> kSizes{1, 2, 4, 8};
  const std::size_t size = kSizes[below(random, kSizes.size())];
  if (s.size() < size) return;
  const std::size_t at = below(random, s.size() - size + 1);
  const std::uint64_t value = interesting(random);
  const bool big_endian = below(random, 4) == 0;
  for (std::size_t i = 0; i < size; ++i)
    s[at + (big_endian ? size - 1 - i : i)] = static_cast<char>(value >> (8 * i) & 0xff);
}

// Replaces a run of digits in text by another number.
void overwrite_number(std::string& s, std::mt19937_64& random) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto start = std::find_if(s.begin() + static_cast<std::ptrdiff_t>(below(random, s.size() + 1)), s.end(), digit);
  if (start == s.end()) return;
  const auto end = std::find_if_not(start, s.end(), digit);
  const std::string number =
      below(random, 8) == 0 ? std::string(below(random, 400), '9') : std::to_string(interesting(random));
  s.replace(start, end, below(random, 4) == 0 ? "-" + number : number);
}

void change(std::string& s, std::mt19937_64& random, const std::vector<std::string_view>& dictionary) {
  const std::size_t at = below(random, s.size() + 1);
  const std::size_t length = std::min(below(random, 32) + 1, s.size() - at);
  switch (below(random, 10)) {
    case 0:
    case 1:
      if (at < s.size()) s[at] = static_cast<char>(s[at] ^ (1 << below(random, 8)));
      break;
    case 2:
      if (at < s.size()) s[at] = static_cast<char>(random());
      break;
    case 3:
      s.erase(at, below(random, 16) == 0 ? std::string::npos : length);
      break;
    case 4:
      s.insert(at, s.substr(at, length));
      break;
    case 5:
      s.insert(below(random, s.size() + 1), s.substr(at, below(random, s.size() - at + 1)));
      break;
    case 6:
      if (!dictionary.empty()) s.insert(at, dictionary[below(random, dictionary.size())]);
      break;
    case 7:
      overwrite_number(s, random);
      break;
    case 8:
      s.insert(at, std::string(below(random, 300), at < s.size() ? s[at] : '['));
      break;
    default:
      overwrite_integer(s, random);
  }
}

}  // namespace

std::string mutate_bytes(std::string input, std::mt19937_64& random, const std::vector<std::string_view>& dictionary) {
  const std::size_t changes = std::size_t{1} << below(random, 4);
  for (std::size_t i = 0; i < changes; ++i) change(input, random, dictionary);
  if (input.size() > kMaxInput) input.resize(kMaxInput);
  return input;
}

std::string mutate_archive(const std::string& input, std::mt19937_64& random) {
  Session session;
  auto members = support::read_zip(input, "corpus", session.ctx);
  if (!members || members->empty()) return mutate_bytes(input, random, {});
  auto& map = members.value();
  const auto member = std::next(map.begin(), static_cast<std::ptrdiff_t>(below(random, map.size())));
  switch (below(random, 12)) {
    case 0:
      map.erase(member);
      break;
    case 1:
      map[mutate_bytes(member->first, random, {"/", "..", ".npy"})] = member->second;
      break;
    case 2:
      map[std::next(map.begin(), static_cast<std::ptrdiff_t>(below(random, map.size())))->first] = member->second;
      break;
    default:
      member->second = mutate_bytes(member->second, random, kTarget.dictionary);
  }
  auto packed = support::write_zip(map, session.ctx);
  return packed ? packed.value() : input;
}

}  // namespace weft::fuzz
