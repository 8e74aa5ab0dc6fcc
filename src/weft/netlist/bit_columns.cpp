// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/bit_columns.h"

#include <algorithm>

namespace weft::netlist {

using Bits = std::vector<Literal>;

void BitColumns::put(Literal bit, std::size_t position) {
  if (position >= columns_.size() || bit == kLow) return;
  auto& column = columns_[position];
  const auto it = std::find(column.begin(), column.end(), bit);
  if (it == column.end()) {
    column.push_back(bit);
  } else {
    column.erase(it);
    put(bit, position + 1);
  }
}

std::vector<Bits> BitColumns::two_words(Gates& gates) const {
  std::vector<Bits> words;
  for (std::size_t k = 0;; ++k) {
    Bits word(columns_.size(), kLow);
    bool any = false;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i].size() <= k) continue;
      word[i] = columns_[i][k];
      any = true;
    }
    if (!any) break;
    words.push_back(std::move(word));
  }
  while (words.size() > 2) {
    std::vector<Bits> next;
    std::size_t i = 0;
    for (; i + 2 < words.size(); i += 3) {
      Bits ones;
      Bits twos{kLow};
      for (std::size_t b = 0; b < columns_.size(); ++b) {
        const Literal half = gates.differ(words[i][b], words[i + 1][b]);
        ones.push_back(gates.differ(half, words[i + 2][b]));
        twos.push_back(gates.either(gates.both(words[i][b], words[i + 1][b]), gates.both(half, words[i + 2][b])));
      }
      twos.pop_back();
      next.push_back(std::move(ones));
      next.push_back(std::move(twos));
    }
    for (; i < words.size(); ++i) next.push_back(words[i]);
    words = std::move(next);
  }
  return words;
}

}  // namespace weft::netlist
