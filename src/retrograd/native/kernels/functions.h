// Exponential (accurate to about two units in the last place) and hyperbolic tangent of a vector. NaN stays NaN: a
// bound is written `bound < x ? bound : x` because the comparison is false for NaN, which selects x.
#pragma once
#include "vectors.h"

namespace retrograd {
namespace VARIANT {
namespace {

INLINE Vector at_most(Vector x, float bound) { return splat(bound) < x ? splat(bound) : x; }
INLINE Vector at_least(Vector x, float bound) { return x < splat(bound) ? splat(bound) : x; }

// e^x = 2^n + 2^n (e^r - 1) with x = n ln 2 + r, |r| <= ln 2 / 2, and the series of e^r - 1, whose eighth term is below
// the rounding error. ln 2 is split so that n times its first part is exact. For x <= 0; results below the smallest
// normal number are flushed to 0.
INLINE Vector exp_of_negative(Vector x) {
  Vector clamped = at_least(x, -87.0f), scaled = clamped * 1.44269504f;
  scaled += scaled < Vector{} ? splat(-0.5f) : splat(0.5f);
  Integers n = __builtin_convertvector(scaled, Integers);
  Vector n_float = __builtin_convertvector(n, Vector);
  Vector r = clamped - n_float * 0.693359375f;
  r = r + n_float * 2.12194440e-4f;
  Vector p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  Integers bits = (n + 127) << 23;
  Vector power;
  __builtin_memcpy(&power, &bits, sizeof power);
  Vector y = power * (p * r * r + r) + power;
  return x < splat(-87.0f) ? Vector{} : y;
}

// outer tanh(inner x), both factors being powers of 2: x P(x²) / Q(x²), the rational minimax approximation of tanh(x) /
// x (relative error 2e-8) up to 8.2, where it first reaches 1; tanh is 1 - 1.5e-7 there. Apart from the division this
// is half the work of a quotient of exponentials; it is accurate to about five units in the last place.
INLINE Vector scaled_tanh(Vector x, float inner, float outer) {
  x = at_least(at_most(x, 8.2f / inner), -8.2f / inner);
  float a = inner * inner, b = a * a;
  Vector s = x * x;
  Vector p = s * (1.3354654e-8f * b * b) + 2.06090758e-5f * a * b, q = s * (7.77655493e-7f * b * b) + 3.28563411e-4f * a * b;
  p = p * s + 3.49558767e-3f * b, q = q * s + 2.58769804e-2f * b;
  p = p * s + 0.133810252f * a, q = q * s + 0.467143408f * a;
  p = p * s + 1.0f, q = q * s + 1.0f;
  return x * (inner * outer) * p / q;
}

INLINE Vector tanh_of(Vector x) { return scaled_tanh(x, 1.0f, 1.0f); }

INLINE Vector logistic_of(Vector x) { return scaled_tanh(x, 0.5f, 0.5f) + 0.5f; }

}  // namespace
}  // namespace VARIANT
}  // namespace retrograd
