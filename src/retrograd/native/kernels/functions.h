// Exponential and hyperbolic tangent of a vector, right to about two units in the last place. NaN stays NaN: that is why
// a bound is written `bound < x ? bound : x`, whose comparison fails for NaN and then takes x.
#pragma once
#include "vectors.h"

namespace retrograd {
namespace VARIANT {
namespace {

INLINE Vector at_most(Vector x, float bound) { return splat(bound) < x ? splat(bound) : x; }
INLINE Vector at_least(Vector x, float bound) { return x < splat(bound) ? splat(bound) : x; }

// e^x - 1 = 2^n (e^r - 1) + (2^n - 1) with x = n ln 2 + r, |r| <= ln 2 / 2, and the series of e^r - 1: its eighth term is
// smaller than the rounding. ln 2 is split so that n times its first part is exact. For -87 <= x <= 88.
struct Exponential {
  Vector power, rest;  // e^x = power * (1 + rest)
};
INLINE Exponential exponential(Vector x) {
  Vector scaled = x * 1.44269504f;
  scaled += scaled < Vector{} ? splat(-0.5f) : splat(0.5f);
  Integers n = __builtin_convertvector(scaled, Integers);
  Vector whole = __builtin_convertvector(n, Vector);
  Vector r = x - whole * 0.693359375f;
  r = r + whole * 2.12194440e-4f;
  Vector p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  Integers bits = (n + 127) << 23;
  Vector power;
  __builtin_memcpy(&power, &bits, sizeof power);
  return {power, p * r * r + r};
}

// e^x for x <= 0; what is smaller than the smallest normal number is 0.
INLINE Vector exp_of_negative(Vector x) {
  Exponential e = exponential(at_least(x, -87.0f));
  Vector y = e.power * e.rest + e.power;
  return x < splat(-87.0f) ? Vector{} : y;
}

INLINE Vector tanh_of(Vector x) {  // (e^2x - 1) / (e^2x + 1); from 9.1 on the nearest float is 1
  Exponential e = exponential(2.0f * at_least(at_most(x, 9.1f), -9.1f));
  Vector less_one = e.power * e.rest + (e.power - 1.0f);
  return less_one / (less_one + 2.0f);
}

INLINE Vector logistic_of(Vector x) { return tanh_of(x * 0.5f) * 0.5f + 0.5f; }

}  // namespace
}  // namespace VARIANT
}  // namespace retrograd
