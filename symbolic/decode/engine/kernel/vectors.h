/* Vectors of W floats, bfloat16, and the functions of the models on them. */
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#define PAUSE() _mm_pause()
#else
#define PAUSE() ((void)0)
#endif

/* A register of the processor: compilers keep wider vectors in memory. */
#if defined(__AVX2__) && !defined(__AVX512F__)
enum { W = 8 };
#else
enum { W = 16 };
#endif

typedef float vec __attribute__((vector_size(4 * W), aligned(4 * W), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * W), aligned(4 * W), may_alias));
#define INLINE static inline __attribute__((always_inline))

#define AHEAD (512 / W) /* vectors between a stream's reads and its prefetches: the processor's own stop at small pages */
#define PREFETCH(p) __builtin_prefetch(p)

INLINE vec splat(float a) { return a - (vec){0}; }
INLINE ivec isplat(int32_t a) { return a - (ivec){0}; }
INLINE vec load(const float *p) { return *(const vec *)p; }
INLINE ivec iload(const void *p) { return *(const ivec *)p; }
INLINE void store(float *p, vec v) { *(vec *)p = v; }
INLINE vec choice(ivec mask, vec a, vec b) { return (vec)((mask & (ivec)a) | (~mask & (ivec)b)); }
INLINE vec larger(vec a, vec b) { return choice(a > b, a, b); }
INLINE vec low_half(ivec pair) { return (vec)(pair << 16); } /* bfloat16 -> float32 */
INLINE vec high_half(ivec pair) { return (vec)(pair & isplat((int32_t)0xffff0000)); }

INLINE float sum(vec v) {
    for (int n = W / 2; n; n /= 2)
        for (int i = 0; i < n; i++) v[i] += v[i + n];
    return v[0];
}

INLINE float largest(vec v) {
    for (int n = W / 2; n; n /= 2)
        for (int i = 0; i < n; i++) v[i] = v[i] > v[i + n] ? v[i] : v[i + n];
    return v[0];
}

/* e^x within 2 units in the last place: x = k log 2 + r, a polynomial for e^r (Cephes), 2^k by its bits.
 * 0 below -80, which keeps recurrences out of slow subnormal numbers; e^88 above 88. */
INLINE vec exponential(vec x) {
    const vec magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
    const ivec tiny = x < splat(-80.0f);
    x = choice(x > splat(88.0f), splat(88.0f), x);
    const vec shifted = x * 1.44269504088896341f + magic;
    const vec k = shifted - magic;
    vec r = x - k * 0.693359375f;
    r = r + k * 2.12194440e-4f;
    vec p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return (vec)(((ivec)p + ((ivec)shifted << 23)) & ~tiny);
}

INLINE vec silu(vec x) { return x / (1.0f + exponential(-x)); }

/* x (1 + tanh z) / 2 is x times the logistic function of 2 z. */
INLINE vec gelu(vec x) {
    const vec z = x * (0.7978845608028654f + 0.035677408136300125f * x * x);
    return x / (1.0f + exponential(-2.0f * z));
}

/* log(1 + e^x) = max(x, 0) + log(1 + t), t = e^-|x|; log(1 + t) = 2 atanh(t / (2 + t)), whose argument is below 1/3. */
INLINE vec softplus(vec x) {
    const vec magnitude = (vec)((ivec)x & isplat(0x7fffffff)), t = exponential(-magnitude);
    const vec s = t / (2.0f + t), q = s * s;
    vec p = splat(1.0f / 15);
    p = p * q + 1.0f / 13;
    p = p * q + 1.0f / 11;
    p = p * q + 1.0f / 9;
    p = p * q + 1.0f / 7;
    p = p * q + 1.0f / 5;
    p = p * q + 1.0f / 3;
    p = p * q + 1.0f;
    return 2.0f * s * p + larger(x, splat(0));
}

INLINE uint16_t to_bfloat16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16); /* to nearest, ties to even */
}
