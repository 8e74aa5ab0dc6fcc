// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"
#include "weft/nn/graph.h"

namespace weft::fuzz {

// What loads must save, and the saved graph must load and save to the same bytes.
static bool run(const std::string& input) {
  Session session;
  const auto loaded = nn::load(input, "fuzz.weft", session.ctx);
  check_reported(loaded.ok(), session);
  if (!loaded) return false;
  const auto saved = nn::save(loaded->graph, loaded->extra, session.ctx);
  if (!saved) throw Finding{"a loaded graph cannot be saved"};
  const auto again = nn::load(*saved, "again.weft", session.ctx);
  if (!again) throw Finding{"a saved graph cannot be loaded"};
  const auto twice = nn::save(again->graph, again->extra, session.ctx);
  if (!twice || *twice != *saved) throw Finding{"saving twice gives other bytes"};
  return true;
}

const Target kTarget{"weft",
                     run,
                     {"\"op\"", "\"shape\"", "\"inputs\"", "\"Dense\"", "-1", "4294967295", "1e400", "NaN"},
                     mutate_archive};

}  // namespace weft::fuzz
