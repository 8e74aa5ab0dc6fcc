// SPDX-License-Identifier: Apache-2.0
#include "weft/diag/diag.h"

#include <fmt/format.h>
#include <algorithm>
#include <nlohmann/json.hpp>

namespace weft::diag {

const std::vector<KindInfo>& kind_table() {
  static const std::vector<KindInfo> table = {
#define WEFT_KIND(name, slug, severity, summary, remedy) \
  KindInfo{Kind::name, slug, Severity::severity, summary, remedy},
#include "weft/diag/kinds.def"
  };
  return table;
}

const KindInfo& info(Kind kind) { return kind_table().at(static_cast<std::size_t>(kind)); }

std::optional<Kind> kind_from_slug(std::string_view slug) {
  for (const auto& row : kind_table())
    if (row.slug == slug) return row.kind;
  return std::nullopt;
}

void Engine::report(Kind kind, Origin origin, std::string message, std::vector<std::string> notes) {
  const std::lock_guard lock(mutex_);
  diagnostics_.push_back({info(kind).severity, kind, std::move(message), std::move(origin), std::move(notes)});
}

std::size_t Engine::error_count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(diagnostics_.begin(), diagnostics_.end(),
                                                [](const auto& d) { return d.severity == Severity::Error; }));
}

bool Engine::has_errors() const { return error_count() != 0; }

std::vector<Diagnostic> Engine::all() const {
  const std::lock_guard lock(mutex_);
  return diagnostics_;
}

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::Note:
      return "note";
    case Severity::Warning:
      return "warning";
    case Severity::Error:
      return "error";
  }
  return "error";
}

namespace {

/// Names come from files: control bytes would steer the terminal, so they are shown as \x1b.
std::string printable(const std::string& text, bool keep_lines) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && (c != '\n' || !keep_lines)) || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out;
}

}  // namespace

std::string to_text(const Diagnostic& diagnostic) {
  std::string out = fmt::format("{}: ", to_string(diagnostic.severity));
  Origin o = diagnostic.origin;
  for (std::string* name : {&o.file, &o.node, &o.op, &o.tensor}) *name = printable(*name, false);
  if (!o.file.empty()) out += o.file + ": ";
  if (!o.node.empty()) out += fmt::format("node `{}`{}: ", o.node, o.op.empty() ? "" : " (" + o.op + ")");
  if (o.node.empty() && !o.op.empty()) out += fmt::format("{}: ", o.op);
  if (!o.tensor.empty()) out += fmt::format("tensor `{}`: ", o.tensor);
  out += fmt::format("{} [{}]", diagnostic.message, info(diagnostic.kind).slug);
  for (const auto& note : diagnostic.notes) out += "\n  note: " + note;
  return printable(out, true);
}

std::string to_json(const Diagnostic& diagnostic) {
  const auto& o = diagnostic.origin;
  const nlohmann::json json = {
      {"severity", to_string(diagnostic.severity)},
      {"kind", info(diagnostic.kind).slug},
      {"message", diagnostic.message},
      {"origin", {{"file", o.file}, {"node", o.node}, {"op", o.op}, {"tensor", o.tensor}}},
      {"notes", diagnostic.notes},
  };
  // Names come from hostile files: bytes that are not UTF-8 are replaced instead of throwing.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void internal_error(const char* file, int line, const std::string& what) {
  throw InternalError(
      fmt::format("internal error at {}:{}: {}; this is a bug in weft, please report it", file, line, what));
}

}  // namespace weft::diag
