/* What the kernels share: vectors of floats, bfloat16, powers, tiles of the processor's matrix unit, threads.
 *
 * W floats are one register of the processor: compilers split wider vectors badly. `n` is how many of them a load or
 * store touches, for the end of a row. bfloat16 numbers are the upper halves of floats.
 */
#ifndef VECTORS_H
#define VECTORS_H
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif
#if defined(__AVX512F__)
#define W 16
#elif defined(__AVX__)
#define W 8
#else
#define W 4
#endif
typedef float vec __attribute__((vector_size(4 * W)));
typedef int32_t ivec __attribute__((vector_size(4 * W)));
typedef uint16_t half; /* the bits of a bfloat16 */
typedef half hvec __attribute__((vector_size(2 * W)));
#define INLINE static inline __attribute__((always_inline))

INLINE vec splat(float a) { return a - (vec){0}; }
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

#if W == 16 && defined(__AVX512BW__) && defined(__AVX512VL__)
#define FIRST(n) ((__mmask16)((1u << (n)) - 1)) /* the first n of W lanes */
INLINE vec load(const float *p, int n) { return (vec)_mm512_maskz_loadu_ps(FIRST(n), p); }
INLINE void store(float *p, vec v, int n) { _mm512_mask_storeu_ps(p, FIRST(n), (__m512)v); }
INLINE hvec load_bits(const half *p, int n) { return (hvec)_mm256_maskz_loadu_epi16(FIRST(n), p); }
INLINE void store_bits(half *p, hvec v, int n) { _mm256_mask_storeu_epi16(p, FIRST(n), (__m256i)v); }
#else
/* Whole vectors by themselves: a variable that is sometimes filled in part would live in memory. */
#define LOAD(name, kind, number)                    \
    INLINE kind name(const number *p, int n) {      \
        if (n == W) {                               \
            kind v;                                 \
            memcpy(&v, p, sizeof v);                \
            return v;                               \
        }                                           \
        kind part = {0};                            \
        memcpy(&part, p, sizeof(number) * n);       \
        return part;                                \
    }
#define STORE(name, kind, number)                       \
    INLINE void name(number *p, kind v, int n) {        \
        if (n == W) {                                   \
            memcpy(p, &v, sizeof v);                    \
            return;                                     \
        }                                               \
        const kind part = v;                            \
        memcpy(p, &part, sizeof(number) * n);           \
    }
LOAD(load, vec, float)
LOAD(load_bits, hvec, half)
STORE(store, vec, float)
STORE(store_bits, hvec, half)
#endif

INLINE hvec narrow(vec v) { /* round to nearest, ties to even; no infinities or NaNs of the upper half are made */
#if defined(__AVX512BF16__) && W == 16
    return (hvec)_mm512_cvtneps_pbh((__m512)v);
#else
    ivec bits = (ivec)v;
    return __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16 & 0xffff, hvec);
#endif
}

INLINE vec widen(hvec v) { return (vec)(__builtin_convertvector(v, ivec) << 16); }

INLINE vec load_half(const half *p, int n) { return widen(load_bits(p, n)); }
INLINE void store_half(half *p, vec x, int n) { store_bits(p, narrow(x), n); }

/* Tensors of either type: `narrowed` is a constant wherever these are used, so the other branch is not compiled. */
INLINE const void *at_const(const void *p, int64_t i, int narrowed) {
    return (const char *)p + i * (narrowed ? sizeof(half) : sizeof(float));
}
INLINE void *at(void *p, int64_t i, int narrowed) { return (char *)p + i * (narrowed ? sizeof(half) : sizeof(float)); }
INLINE vec get(const void *p, int64_t i, int n, int narrowed) {
    return narrowed ? load_half((const half *)p + i, n) : load((const float *)p + i, n);
}
INLINE void put(void *p, int64_t i, vec v, int n, int narrowed) {
    if (narrowed) store_half((half *)p + i, v, n);
    else store((float *)p + i, v, n);
}

INLINE vec larger(vec a, vec b) {
#if W == 16
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif W == 8
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    const ivec left = a > b;
    return (vec)(((ivec)a & left) | ((ivec)b & ~left));
#endif
}

/* 2^x for x <= 127, 2^-126 for everything below: x = k + r, a polynomial for 2^r on [-1/2, 1/2] (interpolated at
 * Chebyshev's points), 2^k by its bits. Within 1e-7 of the value; with `rough`, 4e-6, for what becomes bfloat16. */
INLINE vec power_of_two(vec x, int rough) {
    const vec magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
    x = larger(x, splat(-126.0f));
    const vec shifted = x + magic, r = x - (shifted - magic);
    vec p;
    if (rough) {
        p = splat(9.6663685154e-03f) * r + 5.5921975842e-02f;
        p = p * r + 2.4022349038e-01f;
        p = p * r + 6.9312104520e-01f;
    } else {
        p = splat(1.5461444693e-04f) * r + 1.3400428178e-03f;
        p = p * r + 9.6180566786e-03f;
        p = p * r + 5.5503272267e-02f;
        p = p * r + 2.4022650922e-01f;
        p = p * r + 6.9314720670e-01f;
    }
    p = p * r + 1.0f;
    return (vec)((ivec)p + ((ivec)shifted << 23));
}
#define LOG2_E 1.44269504088896341f

INLINE vec reciprocal(vec x, int rough) { /* of numbers away from 0 and infinity; `rough`: within 1e-8 */
#if W == 16
    if (rough) {
        const vec first = (vec)_mm512_rcp14_ps((__m512)x);
        return first * (2.0f - x * first);
    }
#endif
    (void)rough;
    return 1.0f / x;
}

/* 1 / (1 + e^-x), given t = x log2(e). */
INLINE vec sigmoid(vec t, int rough) {
    return reciprocal(power_of_two(-larger(t, splat(-126.0f)), rough) + 1.0f, rough);
}

/* log(1 + e^x) = max(x, 0) + log(1 + e^-|x|); log(1 + e) / e on [0, 1] interpolated at Chebyshev's points, 6e-9. */
INLINE vec softplus(vec x) {
    const vec e = power_of_two(-larger(x, -x) * LOG2_E, 0);
    vec p = splat(-3.176057017e-03f) * e + 1.954252725e-02f;
    p = p * e - 5.637361281e-02f;
    p = p * e + 1.054362379e-01f;
    p = p * e - 1.526966707e-01f;
    p = p * e + 1.966327426e-01f;
    p = p * e - 2.495161626e-01f;
    p = p * e + 3.332971050e-01f;
    p = p * e - 4.999989265e-01f;
    p = p * e + 9.999999947e-01f;
    return larger(x, splat(0)) + (vec)((ivec)(p * e) & (x > splat(-87.0f))); /* exactly 0 where e^x has no float */
}

INLINE float sum(vec v) {
#if W == 16
    return _mm512_reduce_add_ps((__m512)v);
#else
    float total = 0;
    for (int i = 0; i < W; i++) total += v[i];
    return total;
#endif
}

INLINE float largest(vec v) {
#if W == 16
    return _mm512_reduce_max_ps((__m512)v);
#else
    float most = v[0];
    for (int i = 1; i < W; i++) most = v[i] > most ? v[i] : most;
    return most;
#endif
}

/* Lane l of a pair (a, b) of rows exchanged over distance d: one step of a transposition. */
INLINE void exchange(vec *a, vec *b, int d) {
    ivec upper, lower;
    for (int l = 0; l < W; l++) {
        upper[l] = l & d ? l - d + W : l;
        lower[l] = l & d ? l + W : l + d;
    }
#if defined(__clang__)
    vec u, v;
    for (int l = 0; l < W; l++) {
        u[l] = upper[l] < W ? (*a)[upper[l]] : (*b)[upper[l] - W];
        v[l] = lower[l] < W ? (*a)[lower[l]] : (*b)[lower[l] - W];
    }
    *a = u, *b = v;
#else
    const vec u = __builtin_shuffle(*a, *b, upper), v = __builtin_shuffle(*a, *b, lower);
    *a = u, *b = v;
#endif
}

INLINE void transpose(vec rows[W]) {
#pragma GCC unroll 4
    for (int d = 1; d < W; d *= 2)
#pragma GCC unroll 16
        for (int i = 0; i < W; i++)
            if (!(i & d)) exchange(&rows[i], &rows[i + d], d);
}

INLINE ivec count_from(int64_t first) { /* first, first + 1, ... */
    ivec v;
    for (int i = 0; i < W; i++) v[i] = i;
    return v + (int32_t)first;
}

/* ---- products of matrices: C (m, n) (+)= A (m, k) B (k, n), all sizes multiples of 32 -------------------------------
 * On a processor with a matrix unit (AMX) the factors are bfloat16 and B lies in tiles of 32 x 16, pairs of its rows
 * side by side, as the unit reads them; elsewhere they are floats in plain rows. Sums are floats everywhere. */

#if defined(__AMX_BF16__) && defined(__AMX_TILE__) && defined(__AVX512BF16__) && defined(__AVX512BW__)
#define HAS_TILES 1
#include <sys/syscall.h>
#include <unistd.h>

int has_tiles(void) { /* the kernel must be asked once for a process: ARCH_REQ_XCOMP_PERM, XTILEDATA */
    static int known = -1;
    if (known < 0) known = !syscall(SYS_arch_prctl, 0x1023, 18);
    return known;
}

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_shapes;

static void tiles_begin(tile_shapes *before) {
    tile_shapes shapes = {.palette = 1};
    for (int i = 0; i < 8; i++) shapes.row_bytes[i] = 64, shapes.rows[i] = 16;
    _tile_storeconfig(before);
    _tile_loadconfig(&shapes);
}

static void tiles_end(const tile_shapes *before) { /* leaves the unit as other libraries had set it */
    if (before->palette) _tile_loadconfig(before);
    else _tile_release();
}

INLINE void tile_product(float *C, int64_t ldc, const half *A, int64_t lda, const half *B, int64_t k_stride, int64_t K,
                         int add) {
    if (add) {
        _tile_loadd(0, C, ldc * 4);
        _tile_loadd(1, C + 16, ldc * 4);
        _tile_loadd(2, C + 16 * ldc, ldc * 4);
        _tile_loadd(3, C + 16 * ldc + 16, ldc * 4);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t k = 0; k < K; k += 32, B += k_stride) {
        _tile_loadd(4, A + k, lda * 2);
        _tile_loadd(5, A + 16 * lda + k, lda * 2);
        _tile_loadd(6, B, 64);
        _tile_loadd(7, B + 512, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, C, ldc * 4);
    _tile_stored(1, C + 16, ldc * 4);
    _tile_stored(2, C + 16 * ldc, ldc * 4);
    _tile_stored(3, C + 16 * ldc + 16, ldc * 4);
}
#else
#define HAS_TILES 0
int has_tiles(void) { return 0; }
#endif

enum { ROWS = W == 16 ? 8 : 4, VECTORS = 32 / W < 2 ? 32 / W : 2 }; /* accumulators that fit into the registers */

INLINE void float_product(float *C, int64_t ldc, const float *A, int64_t lda, const float *B, int64_t ldb, int64_t K,
                          int add) {
    vec c[ROWS][VECTORS];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < VECTORS; j++) c[i][j] = add ? load(C + i * ldc + j * W, W) : splat(0);
    for (int64_t k = 0; k < K; k++) {
        vec b[VECTORS];
        for (int j = 0; j < VECTORS; j++) b[j] = load(B + k * ldb + j * W, W);
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < VECTORS; j++) c[i][j] += A[i * lda + k] * b[j];
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < VECTORS; j++) store(C + i * ldc + j * W, c[i][j], W);
}

/* Where row k, column n of a B of `width` columns begins; both multiples of 32. */
INLINE int64_t place(int64_t k, int64_t n, int64_t width, int tiles) {
    return tiles ? ((k >> 5) * (width >> 4) + (n >> 4)) * 512 : k * width + n;
}

/* B points at its first row and column in use; `width` columns lie in its store. */
INLINE void product(float *C, int64_t ldc, const void *A, int64_t lda, const void *B, int64_t width, int64_t M,
                    int64_t N, int64_t K, int add, int tiles) {
#if HAS_TILES
    if (tiles) {
        for (int64_t n = 0; n < N; n += 32)
            for (int64_t m = 0; m < M; m += 32)
                tile_product(C + m * ldc + n, ldc, (const half *)A + m * lda, lda,
                             (const half *)B + place(0, n, width, 1), place(32, 0, width, 1), K, add);
        return;
    }
#endif
    for (int64_t n = 0; n < N; n += VECTORS * W)
        for (int64_t m = 0; m < M; m += ROWS)
            float_product(C + m * ldc + n, ldc, (const float *)A + m * lda, lda, (const float *)B + n, width, K, add);
}

/* Two rows k, k + 1 of a B, W columns from n: as the matrix unit wants them, or plainly. */
INLINE void put_pair(void *B, int64_t k, int64_t n, int64_t width, vec upper, vec lower, int tiles) {
#if HAS_TILES
    if (tiles) {
        const ivec first = __builtin_convertvector(narrow(upper), ivec);
        const ivec second = __builtin_convertvector(narrow(lower), ivec);
        const ivec pairs = first | second << 16;
        memcpy((half *)B + place(k, n, width, 1) + (k >> 1) % 16 * 32, &pairs, sizeof pairs);
        return;
    }
#endif
    store((float *)B + k * width + n, upper, W);
    store((float *)B + (k + 1) * width + n, lower, W);
}

/* Floats X (M, N), rows `ldx` apart, as a left factor of rows `lda` apart; as a right factor of `width` columns. */
INLINE void left_factor(void *A, int64_t lda, const float *X, int64_t ldx, int64_t M, int64_t N, int tiles) {
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n += W) put(A, m * lda + n, load(X + m * ldx + n, W), W, tiles);
}

INLINE void right_factor(void *B, int64_t width, const float *X, int64_t ldx, int64_t M, int64_t N, int tiles) {
    for (int64_t m = 0; m < M; m += 2)
        for (int64_t n = 0; n < N; n += W)
            put_pair(B, m, n, width, load(X + m * ldx + n, W), load(X + (m + 1) * ldx + n, W), tiles);
}

/* The transpose (N, M) of a left factor (M, N) as a right factor of `width` columns; as a left factor. */
INLINE void transposed_right(void *B, int64_t width, const void *A, int64_t lda, int64_t M, int64_t N, int tiles) {
    vec rows[W];
    for (int64_t m = 0; m < M; m += W)
        for (int64_t n = 0; n < N; n += tiles ? 2 * W : W) { /* in tiles pairs of columns move as words of 32 bits */
            for (int i = 0; i < W; i++) rows[i] = load(at_const(A, (m + i) * lda + n, tiles), W);
            transpose(rows);
            for (int i = 0; i < W; i++)
                store(tiles ? at(B, place(n, m, width, 1) + i * 32, 1) : (float *)B + (n + i) * width + m, rows[i], W);
        }
}

INLINE void transposed_left(void *At, int64_t ldt, const void *A, int64_t lda, int64_t M, int64_t N, int tiles) {
    vec rows[W];
    for (int64_t m = 0; m < M; m += W)
        for (int64_t n = 0; n < N; n += W) {
            for (int i = 0; i < W; i++) rows[i] = get(A, (m + i) * lda + n, W, tiles);
            transpose(rows);
            for (int i = 0; i < W; i++) put(At, (n + i) * ldt + m, rows[i], W, tiles);
        }
}

/* ---- threads: each takes a contiguous share of the tasks, with its own work space ---------------------------------- */

/* PyTorch's own OpenMP threads, where it has brought GNU's or Intel's into the process: while they wait for work they keep
 * a core busy, which other threads would have to share. 0 where they are not there. */
#if defined(__linux__)
extern void GOMP_parallel(void (*)(void *), void *, unsigned, unsigned) __attribute__((weak));
#else
static void (*const GOMP_parallel)(void (*)(void *), void *, unsigned, unsigned) = 0;
#endif

typedef struct {
    const void *problem;
    void (*task)(const void *, int64_t, void *);
    int64_t tasks, shares, next;
    size_t bytes;
    int tiles, status;
} team;

static int work_through(const team *t, int64_t share) {
    void *space = aligned_alloc(64, t->bytes + 64);
    if (!space) return 1;
#if defined(__SSE2__)
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040); /* numbers below the normal range count as 0: they take a hundred times as long */
#endif
#if HAS_TILES
    tile_shapes before;
    if (t->tiles) tiles_begin(&before);
#endif
    const int64_t to = t->tasks * (share + 1) / t->shares;
    for (int64_t task = t->tasks * share / t->shares; task < to; task++) t->task(t->problem, task, space);
#if HAS_TILES
    if (t->tiles) tiles_end(&before);
#endif
#if defined(__SSE2__)
    _mm_setcsr(mode);
#endif
    free(space);
    return 0;
}

/* What every thread does: take shares until none is left. */
static void take_shares(void *argument) {
    team *t = argument;
    int64_t share;
    while ((share = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED)) < t->shares)
        if (work_through(t, share)) __atomic_store_n(&t->status, 1, __ATOMIC_RELAXED);
}

static void *take_shares_alone(void *argument) {
    take_shares(argument);
    return NULL;
}

/* Run the tasks; `bytes` of work space for each thread. 0, or 1 where memory is short. */
static int run(const void *problem, void (*task)(const void *, int64_t, void *), int64_t tasks, int64_t threads,
               size_t bytes, int tiles) {
    enum { MOST = 256 };
    pthread_t ids[MOST];
    int64_t started = 0;
    threads = threads < tasks ? threads : tasks;
    threads = threads < MOST ? threads : MOST;
    if (threads < 1) return 0;
    team t = {problem, task, tasks, threads, 0, round_up(bytes, 64), tiles, 0};
    if (threads > 1 && GOMP_parallel) {
        GOMP_parallel(take_shares, &t, (unsigned)threads, 0);
        return t.status;
    }
    while (started + 1 < threads && !pthread_create(&ids[started], NULL, take_shares_alone, &t)) started++;
    take_shares(&t);
    for (int64_t i = 0; i < started; i++) pthread_join(ids[i], NULL);
    return t.status;
}
#endif
