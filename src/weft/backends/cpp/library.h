// ---- arithmetic ---------------------------------------------------------------------------------------------------

__extension__ typedef __int128 Int;
__extension__ typedef unsigned __int128 UInt;

enum class Rounding { trn, trn_zero, rnd, rnd_zero, rnd_inf, rnd_min_inf, rnd_conv, ceil, up };
enum class Overflow { wrap, sat, sat_zero, sat_sym, wrap_sm };

/// A fixed-point type without its point: `width` bits.
struct Type {
  int width;
  bool is_signed;
  Overflow overflow;
  int saturation_bits;
};

/// x * 2^shift without the undefined corners of <<.
template <class T>
constexpr T times_pow2(T x, int shift) {
  return static_cast<T>(static_cast<UInt>(static_cast<Int>(x)) << shift);
}

/// x * 2^-shift rounded; 0 < shift < 126.
template <class T>
constexpr T round_shift(T x, int shift, Rounding rounding) {
  const T floor = x >> shift;
  const T rest = x - times_pow2(floor, shift);
  const T half = T{1} << (shift - 1);
  bool up = false;
  switch (rounding) {
    case Rounding::trn:
      break;
    case Rounding::trn_zero:
      up = x < 0 && rest != 0;
      break;
    case Rounding::rnd:
      up = rest >= half;
      break;
    case Rounding::rnd_zero:
      up = rest > half || (rest == half && x < 0);
      break;
    case Rounding::rnd_inf:
      up = rest > half || (rest == half && x >= 0);
      break;
    case Rounding::rnd_min_inf:
      up = rest > half;
      break;
    case Rounding::rnd_conv:
      up = rest > half || (rest == half && (floor & 1) != 0);
      break;
    case Rounding::ceil:
      up = rest != 0;
      break;
    case Rounding::up:
      up = x >= 0 && rest != 0;
      break;
  }
  return floor + (up ? 1 : 0);
}

constexpr Int low_bits(Int x, int n) { return static_cast<Int>(static_cast<UInt>(x) & ((UInt{1} << n) - 1)); }
constexpr bool bit(Int x, int n) { return (x >> (n > 126 ? 126 : n) & 1) != 0; }
constexpr Int with_sign(Int bits, int n) { return bit(bits, n - 1) ? bits - (Int{1} << n) : bits; }
/// The `saturation_bits` bits at the top of n: the sign, and below it its opposite.
constexpr Int saturated_top(Int bits, int n, int saturation_bits, bool sign) {
  const int kept = n - (saturation_bits > 1 ? saturation_bits : 1);
  const Int low = low_bits(bits, kept);
  return sign ? low + (Int{1} << (n - 1)) : low + (Int{1} << (n - 1)) - (Int{1} << kept);
}

/// `rounded` brought into the type; `floored` is the number before it was rounded.
constexpr Int fold(Int floored, Int rounded, const Type& type) {
  const int w = type.width;
  const Int hi = type.is_signed ? (Int{1} << (w - 1)) - 1 : (Int{1} << w) - 1;
  const Int lo = !type.is_signed ? 0 : type.overflow == Overflow::sat_sym && w > 1 ? -hi : -hi - 1;
  if (rounded >= lo && rounded <= hi) return rounded;
  const bool negative = rounded < 0;
  const int n = type.saturation_bits < w ? type.saturation_bits : w;
  if (type.overflow == Overflow::sat || type.overflow == Overflow::sat_sym) return negative ? lo : hi;
  if (type.overflow == Overflow::sat_zero) return 0;
  const Int bits = low_bits(rounded, w);
  if (!type.is_signed) return n == 0 ? bits : low_bits(bits, w - n) + (Int{1} << w) - (Int{1} << (w - n));
  if (type.overflow == Overflow::wrap) return with_sign(n == 0 ? bits : saturated_top(bits, w, n, negative), w);
  const Int flipped = (Int{1} << w) - 1 - bits;
  const bool top = bit(rounded, w - 1);
  if (n == 0) {
    const bool deleted = bit(floored, w);
    return with_sign(deleted == top ? bits : saturated_top(flipped, w, 1, deleted), w);
  }
  const bool flip = n == 1 ? negative != top : negative == bit(rounded, w - n);
  return with_sign(saturated_top(flip ? flipped : bits, w, n, negative), w);
}

/// x * 2^-shift in the type; a negative shift multiplies.
constexpr Int cast(Int x, int shift, Rounding rounding, const Type& type) {
  if (shift <= 0) {
    const Int exact = times_pow2(x, -shift);
    return fold(exact, exact, type);
  }
  return fold(x >> shift, round_shift(x, shift, rounding), type);
}

template <class T>
constexpr T clamp(T x, T lo, T hi) {
  return x < lo ? lo : x > hi ? hi : x;
}

// ---- layers -------------------------------------------------------------------------------------------------------

/// y[r, o] = bias[o] + sum of x[r, i] * w[i, o]; A holds every partial sum.
template <class A, class X, class W, class B, class Y>
void matvec(const X* x, const W* w, const B* bias, Y* y, std::size_t rows, std::size_t n_in, std::size_t n_out,
            A* sum) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t o = 0; o < n_out; ++o) sum[o] = static_cast<A>(bias[o]);
    for (std::size_t i = 0; i < n_in; ++i) {
      const A code = static_cast<A>(x[r * n_in + i]);
      const W* row = w + i * n_out;
      for (std::size_t o = 0; o < n_out; ++o) sum[o] = static_cast<A>(sum[o] + code * static_cast<A>(row[o]));
    }
    for (std::size_t o = 0; o < n_out; ++o) y[r * n_out + o] = static_cast<Y>(sum[o]);
  }
}

/// The same with an accumulator of a type of its own: the bias first, every product brought into it.
template <class X, class W, class B, class Y>
void matvec_in(const X* x, const W* w, const B* bias, Y* y, std::size_t rows, std::size_t n_in, std::size_t n_out,
               int shift, Rounding rounding, const Type& type) {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t o = 0; o < n_out; ++o) {
      Int sum = cast(bias[o], shift, rounding, type);
      for (std::size_t i = 0; i < n_in; ++i) {
        sum += cast(static_cast<Int>(x[r * n_in + i]) * w[i * n_out + o], shift, rounding, type);
        sum = fold(sum, sum, type);
      }
      y[r * n_out + o] = static_cast<Y>(sum);
    }
}

/// values[number of breakpoints <= x].
template <class X, class T, class V>
V piece(X x, const T* breakpoints, std::size_t n, const V* values) {
  std::size_t first = 0;
  while (n > 0) {
    const std::size_t half = n / 2;
    if (static_cast<Int>(breakpoints[first + half]) <= static_cast<Int>(x)) {
      first += half + 1;
      n -= half + 1;
    } else {
      n = half;
    }
  }
  return values[first];
}

template <class X, class Y>
void sum_rows(const X* x, Y* y, std::size_t rows, std::size_t n) {
  for (std::size_t r = 0; r < rows; ++r) {
    Int sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += x[r * n + i];
    y[r] = static_cast<Y>(sum);
  }
}

template <class X, class Y>
void max_rows(const X* x, Y* y, std::size_t rows, std::size_t n) {
  for (std::size_t r = 0; r < rows; ++r) {
    X best = x[r * n];
    for (std::size_t i = 1; i < n; ++i) best = x[r * n + i] > best ? x[r * n + i] : best;
    y[r] = static_cast<Y>(best);
  }
}

/// Indices of the k largest, the lower index first among equals.
template <class X, class Y>
void arg_max(const X* x, Y* y, std::size_t rows, std::size_t n, std::size_t k) {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t j = 0; j < k; ++j) {
      std::size_t best = n;
      for (std::size_t i = 0; i < n; ++i) {
        bool taken = false;
        for (std::size_t t = 0; t < j; ++t) taken = taken || static_cast<std::size_t>(y[r * k + t]) == i;
        if (!taken && (best == n || x[r * n + i] > x[r * n + best])) best = i;
      }
      y[r * k + j] = static_cast<Y>(best);
    }
}

/// y[e] = x[from[e]], `pad` where from[e] < 0.
template <class X, class Y>
void gather(const X* x, Y* y, const std::int32_t* from, std::size_t n, Y pad) {
  for (std::size_t e = 0; e < n; ++e) y[e] = from[e] < 0 ? pad : static_cast<Y>(x[from[e]]);
}

/// Blocks of `block` codes to places `stride` apart.
template <class X, class Y>
void copy_blocks(const X* x, Y* y, std::size_t count, std::size_t block, std::size_t stride) {
  for (std::size_t b = 0; b < count; ++b)
    for (std::size_t i = 0; i < block; ++i) y[b * stride + i] = static_cast<Y>(x[b * block + i]);
}

/// Neighbourhoods of x [spatial..., channels]: for every position the groups of channels, in each the taps, in each the
/// channels of the group.
struct Window {
  std::size_t axes;
  std::int64_t extent[4], out[4], kernel[4], stride[4], dilation[4], before[4];
  std::int64_t channels, groups;
};
template <class X, class Y>
void windows(const X* x, Y* y, const Window& w, Y pad) {
  std::int64_t positions = 1, taps = 1;
  for (std::size_t d = 0; d < w.axes; ++d) {
    positions *= w.out[d];
    taps *= w.kernel[d];
  }
  const std::int64_t per_group = w.channels / w.groups;
  for (std::int64_t p = 0; p < positions; ++p)
    for (std::int64_t t = 0; t < taps; ++t) {
      std::int64_t rest_p = p, rest_t = t, stride = 1, element = 0;
      bool inside = true;
      for (std::size_t d = w.axes; d-- > 0;) {
        const std::int64_t at = rest_p % w.out[d] * w.stride[d] - w.before[d] + rest_t % w.kernel[d] * w.dilation[d];
        rest_p /= w.out[d];
        rest_t /= w.kernel[d];
        inside = inside && at >= 0 && at < w.extent[d];
        element += at * stride;
        stride *= w.extent[d];
      }
      for (std::int64_t g = 0; g < w.groups; ++g) {
        Y* to = y + (p * w.groups * taps + g * taps + t) * per_group;
        for (std::int64_t c = 0; c < per_group; ++c)
          to[c] = inside ? static_cast<Y>(x[element * w.channels + g * per_group + c]) : pad;
      }
    }
}

/// A node goes on to `high` when the code of its feature is >= threshold; children below zero are leaves -1 - child.
template <class T>
struct Node {
  T threshold;
  std::int32_t feature, low, high;
};
struct Tree {
  std::int32_t root, first, width;
};
template <class X, class T, class L, class Y>
void forest(const X* x, Y* y, std::size_t rows, std::size_t n_in, std::size_t n_out, const Node<T>* nodes,
            const Tree* trees, std::size_t n_trees, const L* leaves, const L* bias) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t o = 0; o < n_out; ++o) y[r * n_out + o] = static_cast<Y>(bias[o]);
    for (std::size_t t = 0; t < n_trees; ++t) {
      std::int32_t at = trees[t].root;
      while (at >= 0) at = x[r * n_in + nodes[at].feature] >= nodes[at].threshold ? nodes[at].high : nodes[at].low;
      for (std::int32_t j = 0; j < trees[t].width; ++j) {
        Y& sum = y[r * n_out + trees[t].first + j];
        sum = static_cast<Y>(static_cast<Int>(sum) + leaves[-1 - at + j]);
      }
    }
  }
}

// ---- real numbers -------------------------------------------------------------------------------------------------

/// x * 2^frac rounded to an integer; numbers far outside of every type keep their sign only.
inline Int round_scaled(float x, int frac, Rounding rounding) {
  const double scaled = std::ldexp(static_cast<double>(x), frac);
  constexpr double huge = 1267650600228229401496703205376.0;  // 2^100
  if (scaled >= huge) return Int{1} << 100;
  if (scaled <= -huge) return -(Int{1} << 100);
  int exponent = 0;
  const Int mantissa = static_cast<Int>(std::ldexp(std::frexp(x, &exponent), 24));
  const int shift = 24 - exponent - frac;
  if (shift <= 0) return times_pow2(mantissa, -shift);
  return round_shift(mantissa, shift > 100 ? 100 : shift, rounding);
}

inline Int to_fixed(float x, int frac, Rounding rounding, const Type& type) {
  // Sign-magnitude wrapping looks at the number before it is rounded, too.
  return fold(round_scaled(x, frac, Rounding::trn), round_scaled(x, frac, rounding), type);
}

/// round(x / scale + zero_point), clamped before or after rounding, minus the zero point.
inline Int to_affine(float x, float scale, float zero_point, Int lo, Int hi, Rounding rounding, bool round_first) {
  volatile const float quotient = x / scale;
  const float y = quotient + zero_point;
  const float clamped = y < static_cast<float>(lo)   ? static_cast<float>(lo)
                        : y > static_cast<float>(hi) ? static_cast<float>(hi)
                                                     : y;
  const Int q = round_first ? clamp(round_scaled(y, 0, rounding), lo, hi) : round_scaled(clamped, 0, rounding);
  const Int zero = round_scaled(zero_point, 0, Rounding::trn);
  const double rest = static_cast<double>(zero_point) - static_cast<double>(zero);
  if (rest == 0) return q - zero;
  if (rest != 0.5) return q - zero - (rest > 0.5 ? 1 : 0);
  const Int upper = q - zero;
  return (upper & 1) == 0 ? upper : upper - 1;
}

/// float32 nearest to code * mantissa * 2^exponent.
inline float to_real(Int code, std::int64_t mantissa, int exponent) {
  const Int product = code * mantissa;
  return static_cast<float>(std::ldexp(static_cast<double>(static_cast<float>(product)), exponent));
}

/// float32 nearest to code * numerator / denominator.
inline float to_real_ratio(Int code, std::int64_t numerator, std::int64_t denominator) {
  const Int product = code * numerator;
  const UInt magnitude = static_cast<UInt>(product < 0 ? -product : product);
  if (magnitude == 0) return 0.0F;
  // At least 32 bits of quotient, and a last bit that stands for the rest.
  int shift = 0;
  UInt scaled = magnitude;
  while ((scaled >> 126) == 0 && (scaled / static_cast<UInt>(denominator) >> 40) == 0) {
    scaled <<= 1;
    ++shift;
  }
  UInt quotient = scaled / static_cast<UInt>(denominator);
  if (scaled % static_cast<UInt>(denominator) != 0) quotient |= 1;
  const float rounded = static_cast<float>(quotient);
  const float real = static_cast<float>(std::ldexp(static_cast<double>(rounded), -shift));
  return product < 0 ? -real : real;
}
