// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"
#include "weft/exact/graph.h"

namespace weft::fuzz {

// What parses must print to text that parses to the same text.
static bool run(const std::string& input) {
  Session session;
  const auto graph = exact::parse_text(input, "fuzz.txt", session.ctx);
  check_reported(graph.ok(), session);
  if (!graph) return false;
  if (const auto wrong = exact::verify(*graph); !wrong.empty())
    throw Finding{"an unsound graph was accepted: " + wrong};
  const std::string text = exact::to_text(*graph);
  const auto again = exact::parse_text(text, "again.txt", session.ctx);
  if (!again) throw Finding{"printed text does not parse:\n" + text};
  if (exact::to_text(*again) != text) throw Finding{"printing twice gives other text:\n" + text};
  return true;
}

const Target kTarget{
    "exact_text",
    run,
    {"matvec", "requant", "table", "concat", "reshape", "%0", "%4294967295", "[]", "[0]", "fixed<8,4>", "/0", "-1"}};

}  // namespace weft::fuzz
