// SPDX-License-Identifier: Apache-2.0
/// @file
/// How an operator's handler is called: with a batch or without, on constants alone, behind a QuantizeLinear.
#pragma once

#include "weft/formats/onnx/operators.h"

namespace weft::formats::onnx {

/// Integers of a QuantizeLinear may be clipped, moved and compared before their DequantizeLinear; every other operator
/// gets them as numbers.
Result<void> settle_integers(Call& call);

/// Runs the handler. On constants alone that it does not fold, its layers are run on them. Where the file has no batch
/// (Builder::whole), an operator that wants one may have an axis of extent one for it; the others see all axes alike.
Result<Values> call_operator(const Operator& row, Call& call);

/// A context like `ctx` whose diagnostics go elsewhere.
inline Context quiet(diag::Engine& engine, const Context& ctx) {
  return Context{engine, ctx.progress, ctx.cancel, ctx.threads, ctx.seed, ctx.limits};
}
inline void copy_diagnostics(const diag::Engine& from, const Context& to) {
  for (const auto& d : from.all()) to.report(d.kind, d.origin, d.message, d.notes);
}

}  // namespace weft::formats::onnx
