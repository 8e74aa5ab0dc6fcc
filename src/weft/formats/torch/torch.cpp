// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/torch/torch.h"

#include <fmt/format.h>

#include "weft/formats/torch/archive.h"
#include "weft/formats/torch/importer.h"
#include "weft/formats/torch/in_place.h"
#include "weft/support/files.h"

namespace weft::formats::torch {

Result<nn::Graph> read_pt2_bytes(const std::string& bytes, const std::string& name, Context& ctx) {
  WEFT_TRY(Archive archive, Archive::open(bytes, name, ctx));
  WEFT_TRY(Program program, parse_program(archive.program(), name, ctx));
  WEFT_TRY_VOID(replace_in_place(program, ctx));
  return import_program(program, archive, ctx);
}

Result<nn::Graph> read_pt2(const std::filesystem::path& path, Context& ctx) {
  WEFT_TRY(const std::string bytes, support::read_file(path, ctx));
  return read_pt2_bytes(bytes, path.filename().string(), ctx);
}

diag::Failure refuse(FileKind what, const std::string& name, Context& ctx) {
  const char* const is = what == FileKind::Script
                             ? "a TorchScript archive, whose program is Python code"
                             : "a pickle of weights or of a module, which does not hold the network";
  return ctx.fail(Kind::FormatUnknown, {.file = name},
                  fmt::format("this is {}; build the module in Python and save the program: "
                              "`torch.export.save(torch.export.export(module.eval(), (example,)), \"model.pt2\")`, or "
                              "give the module to `weft.from_torch`",
                              is));
}

}  // namespace weft::formats::torch
