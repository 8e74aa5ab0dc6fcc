// SPDX-License-Identifier: Apache-2.0
/// @file
/// Typed diagnostics with an origin in the model, `Result<T>`, and checks for bugs.
#pragma once

#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::diag {

enum class Severity { Note, Warning, Error };

/// One enumerator per row of kinds.def.
enum class Kind {
#define WEFT_KIND(name, slug, severity, summary, remedy) name,
#include "weft/diag/kinds.def"
};

/// The table row of a kind; what `weft explain` prints.
struct KindInfo {
  Kind kind;
  std::string_view slug;
  Severity severity;
  std::string_view summary;
  std::string_view remedy;
};

/// All rows of kinds.def in their order.
const std::vector<KindInfo>& kind_table();
const KindInfo& info(Kind kind);
std::optional<Kind> kind_from_slug(std::string_view slug);

/// Where in the user's world a diagnostic belongs. Empty parts are unknown.
struct Origin {
  std::string file{};
  std::string node{};
  std::string op{};
  std::string tensor{};
  bool operator==(const Origin&) const = default;
};

struct Diagnostic {
  Severity severity = Severity::Error;
  Kind kind = Kind::Info;
  /// Lower case, no final period, names in backticks: what was seen, where, what to do.
  std::string message{};
  Origin origin{};
  std::vector<std::string> notes{};
};

/// Collects diagnostics. Thread-safe; never prints.
class Engine {
 public:
  /// Records a diagnostic with the severity of its kind.
  void report(Kind kind, Origin origin, std::string message, std::vector<std::string> notes = {});
  [[nodiscard]] bool has_errors() const;
  [[nodiscard]] std::size_t error_count() const;
  /// A copy of everything recorded so far, in order.
  [[nodiscard]] std::vector<Diagnostic> all() const;

 private:
  mutable std::mutex mutex_;
  std::vector<Diagnostic> diagnostics_;
};

/// "error: file: node `x` (Op): message [slug]" and its notes, one per line.
std::string to_text(const Diagnostic& diagnostic);
/// The JSON object of cli.md: severity, kind, message, origin, notes.
std::string to_json(const Diagnostic& diagnostic);
std::string_view to_string(Severity severity);

/// Tag of a failure that has already been reported to the Engine.
struct Failure {};
inline constexpr Failure failure{};

/// A value, or "failed and already reported".
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit by design
  Result(Failure) {}                             // NOLINT: implicit by design
  [[nodiscard]] bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  T& value() & { return value_.value(); }
  const T& value() const& { return value_.value(); }
  T&& value() && { return std::move(value_).value(); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
};

/// Success or "failed and already reported".
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Failure) : ok_(false) {}  // NOLINT: implicit by design
  [[nodiscard]] bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }

 private:
  bool ok_ = true;
};

/// A bug in Weft; never reachable from user input. The command line answers 70.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void internal_error(const char* file, int line, const std::string& what);

}  // namespace weft::diag

namespace weft {
using diag::Kind;
using diag::Origin;
using diag::Result;
}  // namespace weft

/// Always on; throws InternalError.
#define WEFT_CHECK(condition, what)                                             \
  do {                                                                          \
    if (!(condition)) ::weft::diag::internal_error(__FILE__, __LINE__, (what)); \
  } while (false)

#define WEFT_CONCAT_INNER(a, b) a##b
#define WEFT_CONCAT(a, b) WEFT_CONCAT_INNER(a, b)
/// `WEFT_TRY(auto x, f());` declares x from a Result or returns the failure.
#define WEFT_TRY(declaration, expression)                                 \
  auto WEFT_CONCAT(weft_result_, __LINE__) = (expression);                \
  if (!WEFT_CONCAT(weft_result_, __LINE__)) return ::weft::diag::failure; \
  declaration = std::move(WEFT_CONCAT(weft_result_, __LINE__)).value()
/// `WEFT_TRY_VOID(f());` returns the failure of a Result<void>.
#define WEFT_TRY_VOID(expression)                    \
  do {                                               \
    if (!(expression)) return ::weft::diag::failure; \
  } while (false)
