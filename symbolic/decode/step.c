/* One decoding step of GPT-2, Mamba and Mamba-2 on a CPU, all layers in one call, float32 sums.
 * Equations and symbols: symbolic/models/{gpt2,mamba,mamba2}.py; packing of the weights, and the caller: native.py.
 *
 * Pass      up to MOST items, an item being the next token of one slot (a row of the state). Consecutive items of one
 *           slot are its next tokens in order, so a prompt is read by the same code that takes a step.
 * Vectors   W = 16 lanes. Every row of numbers is padded with zeros to a multiple of PANEL, so no loop has a tail.
 * Matrices  panels of PANEL outputs; word k of a panel holds for each output the 32 bits of its next inputs: one
 *           float32, two bfloat16 or four int8. A product is then a broadcast word of x and a vector of words of W.
 * Order     an output is a sum over the inputs in their order, whatever other items are in the pass: a slot's numbers
 *           never depend, in any bit, on its company or on the number of threads.
 * Cache     keys in blocks of BLOCK positions, transposed (channel, position); values as pairs of positions in
 *           bfloat16, as rows in float32.
 * Threads   the caller's thread runs the sequence of phases; a phase is chunks (a panel, a head, a row) that the team
 *           claims one by one. A thread that the system has taken off its core holds up only the chunk it has claimed:
 *           with a barrier for all after each phase, an oversubscribed machine ran at a twentieth of one thread's
 *           speed. The team sleeps between calls.
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <sched.h>
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

enum { W = 16, BLOCK = 64, MOST = 64, MOST_THREADS = 64 };
enum { VECTORS = 4 }; /* in a panel */
#ifdef __AVX512F__
enum { TILE = 6 }; /* rows of x whose TILE * VECTORS sums fit the 32 registers */
#else
enum { TILE = 1 };
#endif
#define PANEL (W * VECTORS)
enum { FLOAT32, BFLOAT16, INT8 };
enum { GPT2, MAMBA, MAMBA2 };
enum { STORE, ADD, GELU };

typedef float vec __attribute__((vector_size(4 * W), aligned(64), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * W), aligned(64), may_alias));
#define INLINE static inline __attribute__((always_inline))

typedef struct {
    const uint32_t *words;
    const float *bias, *scale; /* bias may be absent; scale and sums are int8's */
    const int32_t *sums;       /* 128 times the sum of an output's weights */
    int64_t kind, panels, n_words;
} matrix;

typedef struct {
    const float *norm, *norm_bias, *norm2, *norm2_bias; /* norm2: GPT-2's second, Mamba-2's gated one */
    const float *conv, *conv_bias, *A, *D;
    matrix in, out, in2, out2; /* GPT-2: attention, MLP; Mamba: in2 gives dt, B and C, out2 widens dt */
} layer;

typedef struct {
    int64_t family, n_layer, n_embd, embd, inner, n_head, head, n_state, maps, groups, n_inner, conv, vocab, n_vocab;
    int64_t cache, n_positions; /* n_x: real size, x: padded to panels; inner: D or heads * padded head */
    float query_scale;
    const float *tokens, *positions, *norm, *norm_bias;
    matrix scores;
    const layer *layers;
} model;

typedef struct {
    int64_t blocks; /* a slot's capacity, in BLOCKs of positions; 0 for the Mambas */
    void *keys, *values;       /* (slots, layers, heads, blocks, head * BLOCK) */
    float *window, *recurrence; /* (slots, layers, conv - 1, channels), (slots, layers, states, inner) */
    int32_t *lengths;          /* tokens each slot has read */
} state;

typedef struct {
    float temperature, top_p, log_min_p; /* temperature 0: greedy; top_p 1, log_min_p -inf: off */
    int64_t top_k;                       /* 0: off */
} sampling;

typedef struct {
    const model *m;
    const state *s;
    int64_t n, n_wanted, n_runs;
    const int32_t *slot, *token, *wanted; /* wanted: items whose scores are asked for, ascending */
    float *scores;                        /* (n_wanted, vocab) */
    int32_t run[MOST + 1];                /* first items of the runs of one slot, and n */
} pass;

typedef struct team team;
typedef struct {
    team *t;
    int64_t me, chunk, chunks; /* chunks: known in a team of one */
    uint32_t phase;
} turn; /* what a thread holds while it works on a phase */
typedef void phase_work(turn *, const void *, int64_t);

struct team {
    int64_t n, widest, positions;
    float *x, *wide, *wide2, *narrow, *private;
    phase_work *work; /* the phase: what to do, with what, in which layer */
    const void *argument;
    int64_t layer;
    pthread_t ids[MOST_THREADS];
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int64_t asleep;
    atomic_int active, stop;
    _Alignas(64) _Atomic uint64_t ticket; /* number of the phase << 32 | its chunks << 16 | the next of them */
    _Alignas(64) atomic_long done;
};
enum { MOST_CHUNKS = 1024 };

#define AHEAD 32 /* vectors between a stream's reads and its prefetches: the processor's own stop at small pages */
#define PREFETCH(p) __builtin_prefetch(p)

/* ---- vectors ---- */

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

/* ---- the team ---- */

/* Claim the next chunk of the phase, or find it over. */
INLINE int claim(turn *u) {
    uint64_t seen = atomic_load_explicit(&u->t->ticket, memory_order_acquire);
    while (seen >> 32 == u->phase && (seen & 0xffff) < (seen >> 16 & 0xffff)) {
        u->chunk = (int64_t)(seen & 0xffff);
        if (atomic_compare_exchange_weak_explicit(&u->t->ticket, &seen, seen + 1, memory_order_acq_rel,
                                                  memory_order_acquire))
            return 1;
    }
    return 0;
}

/* Hand in the chunk that is held, claim another. */
INLINE int another(turn *u) {
    if (u->t->n == 1) return ++u->chunk < u->chunks;
    atomic_fetch_add_explicit(&u->t->done, 1, memory_order_release);
    return claim(u);
}

/* Do all chunks of a phase with the whole team; called by the caller's thread only. */
static void phase(team *t, phase_work *work, const void *argument, int64_t layer, int64_t chunks) {
    const uint32_t number = (uint32_t)(atomic_load_explicit(&t->ticket, memory_order_relaxed) >> 32) + 1;
    turn u = {t, 0, 0, chunks, number};
    if (!chunks) return;
    t->work = work;
    t->argument = argument;
    t->layer = layer;
    if (t->n == 1) return work(&u, argument, layer);
    atomic_store_explicit(&t->done, 0, memory_order_relaxed);
    atomic_store_explicit(&t->ticket, (uint64_t)number << 32 | (uint64_t)chunks << 16, memory_order_release);
    if (claim(&u)) work(&u, argument, layer);
    for (long spins = 0; atomic_load_explicit(&t->done, memory_order_acquire) < chunks; spins++) {
        if (spins < 4000) PAUSE();
        else sched_yield(); /* another process may hold the core that is waited for */
    }
}

typedef struct {
    team *t;
    int64_t me;
} member;

static void sleep_between_calls(team *t) {
    pthread_mutex_lock(&t->lock);
    t->asleep++;
    while (!atomic_load(&t->active) && !atomic_load(&t->stop)) pthread_cond_wait(&t->wake, &t->lock);
    t->asleep--;
    pthread_mutex_unlock(&t->lock);
}

static void *member_loop(void *argument) {
    turn u = {((member *)argument)->t, ((member *)argument)->me, 0, 0, 0};
    free(argument);
    for (long spins = 0; !atomic_load_explicit(&u.t->stop, memory_order_relaxed); spins++) {
        u.phase = (uint32_t)(atomic_load_explicit(&u.t->ticket, memory_order_acquire) >> 32);
        if (claim(&u)) {
            u.t->work(&u, u.t->argument, u.t->layer);
            spins = 0;
        } else if (spins < 4000) PAUSE();
        else if (atomic_load_explicit(&u.t->active, memory_order_relaxed)) sched_yield();
        else sleep_between_calls(u.t);
    }
    return NULL;
}

static void set_active(team *t, int active) {
    if (t->n == 1) return;
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->active, active);
    if (t->asleep && active) pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

void team_free(team *t) {
    atomic_store(&t->stop, 1);
    set_active(t, 1);
    for (int64_t i = 1; i < t->n; i++) pthread_join(t->ids[i], NULL);
    free(t->x);
    free(t);
}

/* widest: the longest row of numbers that any phase writes; positions: the longest row of attention weights. */
team *team_new(int64_t threads, int64_t widest, int64_t positions) {
    team *t = aligned_alloc(64, (sizeof(team) + 63) / 64 * 64);
    if (!t) return NULL;
    memset(t, 0, sizeof *t);
    t->widest = widest;
    t->positions = (positions + BLOCK - 1) / BLOCK * BLOCK;
    const int64_t shared = MOST * widest, private = 2 * shared + MOST * W + t->positions;
    threads = threads < 1 ? 1 : threads > MOST_THREADS ? MOST_THREADS : threads;
    t->x = aligned_alloc(64, sizeof(float) * (4 * shared + threads * private));
    if (!t->x) return free(t), NULL;
    memset(t->x, 0, sizeof(float) * (4 * shared + threads * private));
    t->wide = t->x + shared;
    t->wide2 = t->wide + shared;
    t->narrow = t->wide2 + shared;
    t->private = t->narrow + shared;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    for (t->n = 1; t->n < threads; t->n++) {
        member *who = malloc(sizeof *who);
        if (!who) break;
        *who = (member){t, t->n};
        if (pthread_create(&t->ids[t->n], NULL, member_loop, who)) {
            free(who);
            break;
        }
    }
    return t;
}

int64_t team_size(const team *t) { return t->n; }

INLINE float *private_rows(const team *t, int64_t me) {
    return t->private + me * (2 * MOST * t->widest + MOST * W + t->positions);
}
INLINE float *private_words(const team *t, int64_t me) { return private_rows(t, me) + MOST * t->widest; }
INLINE float *private_scales(const team *t, int64_t me) { return private_words(t, me) + MOST * t->widest; }
INLINE float *private_weights(const team *t, int64_t me) { return private_scales(t, me) + MOST * W; }

/* ---- x as a matrix product takes it ---- */

typedef struct {
    const uint32_t *words;
    int64_t stride;     /* words between rows */
    const float *scale; /* of each row; read for int8 only */
} operand;

INLINE void row_to_bfloat16(const float *x, int64_t n, uint32_t *words) {
#ifdef __AVX512BF16__
    for (int64_t i = 0; i < n; i += 2 * W)
        _mm512_store_si512(words + i / 2, (__m512i)_mm512_cvtne2ps_pbh((__m512)load(x + i + W), (__m512)load(x + i)));
#else
    for (int64_t i = 0; i < n; i += 2) words[i / 2] = to_bfloat16(x[i]) | (uint32_t)to_bfloat16(x[i + 1]) << 16;
#endif
}

/* Row / scale rounded to -127..127, plus 128: the instruction multiplies unsigned by signed bytes. */
INLINE float row_to_int8(const float *x, int64_t n, uint32_t *words) {
    vec most = splat(1e-30f);
    for (int64_t i = 0; i < n; i += W) most = larger(most, (vec)((ivec)load(x + i) & isplat(0x7fffffff)));
    const float scale = largest(most) / 127.0f, inverse = 1.0f / scale;
    uint8_t *bytes = (uint8_t *)words;
    for (int64_t i = 0; i < n; i += W) {
        const ivec q = (ivec)(load(x + i) * inverse + (12582912.0f + 128.0f)) & isplat(255);
        for (int j = 0; j < W; j++) bytes[i + j] = (uint8_t)q[j];
    }
    return scale;
}

/* Rows x (n, stride) for matrix m; every thread makes its own copy, which is cheaper than another phase. */
static operand operand_of(turn *u, const matrix *m, const float *x, int64_t stride, int64_t n) {
    if (m->kind == FLOAT32) return (operand){(const uint32_t *)x, stride, x};
    const int64_t each = m->kind == BFLOAT16 ? 2 : 4, length = (m->n_words * each + PANEL - 1) / PANEL * PANEL;
    const int64_t words = (length / each + W - 1) / W * W;
    uint32_t *made = (uint32_t *)private_words(u->t, u->me);
    float *scale = private_scales(u->t, u->me);
    for (int64_t i = 0; i < n; i++) {
        if (m->kind == BFLOAT16) row_to_bfloat16(x + i * stride, length, made + i * words);
        else scale[i] = row_to_int8(x + i * stride, length, made + i * words);
    }
    return (operand){made, words, scale};
}

/* ---- y = x W + b ---- */

INLINE vec product(int kind, vec a, uint32_t x, ivec w) {
    if (kind == FLOAT32) {
        float value;
        memcpy(&value, &x, 4);
        return a + splat(value) * (vec)w;
    }
    if (kind == BFLOAT16) {
#ifdef __AVX512BF16__
        return (vec)_mm512_dpbf16_ps((__m512)a, (__m512bh)_mm512_set1_epi32((int)x), (__m512bh)w);
#else
        const ivec pair = isplat((int32_t)x);
        return a + high_half(pair) * high_half(w) + low_half(pair) * low_half(w);
#endif
    }
#ifdef __AVX512VNNI__
    return (vec)_mm512_dpbusd_epi32((__m512i)a, _mm512_set1_epi32((int)x), (__m512i)w);
#else
    ivec total = (ivec)a;
    for (int j = 0; j < 4; j++) total += (int32_t)(x >> 8 * j & 255) * ((w << (24 - 8 * j)) >> 24);
    return (vec)total;
#endif
}

/* Raw sums (rows, PANEL), outputs from `column` on -> y. Not inlined into the tiles, or it would be most of the library
 * and of the time to compile it. */
static __attribute__((noinline)) void finish(const matrix *m, const float *sums, const float *scale, int64_t rows,
                                             int64_t column, float *y, int64_t stride, int after) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < PANEL; i += W) {
            vec value = load(sums + r * PANEL + i);
            float *place = y + r * stride + i;
            if (m->kind == INT8) {
                const ivec whole = (ivec)value - iload(m->sums + column + i);
                value = __builtin_convertvector(whole, vec) * scale[r] * load(m->scale + column + i);
            }
            if (m->bias) value += load(m->bias + column + i);
            if (after == ADD) value += load(place);
            if (after == GELU) value = gelu(value);
            store(place, value);
        }
}

/* R rows of x by one panel; R is a constant wherever this is inlined, so the sums are registers. */
INLINE void tile(const matrix *m, int kind, int R, const operand *x, int64_t row, int64_t panel, float *y,
                 int64_t stride, int after) {
    const int64_t words = m->n_words, step = x->stride;
    const uint32_t *in = x->words + row * step;
    const ivec *w = (const ivec *)m->words + panel * words * VECTORS;
    vec a[TILE * VECTORS];
#pragma GCC unroll 24
    for (int i = 0; i < R * VECTORS; i++) a[i] = splat(0);
    for (int64_t k = 0; k < words; k++, w += VECTORS) {
        const ivec columns[VECTORS] = {w[0], w[1], w[2], w[3]};
#pragma GCC unroll 6
        for (int r = 0; r < R; r++) {
            const uint32_t word = in[r * step + k];
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) a[r * VECTORS + v] = product(kind, a[r * VECTORS + v], word, columns[v]);
        }
    }
    float sums[TILE * PANEL] __attribute__((aligned(64)));
#pragma GCC unroll 24
    for (int i = 0; i < R * VECTORS; i++) store(sums + i * W, a[i]);
    finish(m, sums, x->scale + row, R, panel * PANEL, y + row * stride + panel * PANEL, stride, after);
}

INLINE void rows_of_panel(const matrix *m, int kind, const operand *x, int64_t n, int64_t panel, float *y,
                          int64_t stride, int after) {
    int64_t row = 0;
#define ROWS(R)                                \
    for (; R <= TILE && n - row >= R; row += R) \
        tile(m, kind, R <= TILE ? R : 1, x, row, panel, y, stride, after);
    ROWS(6) ROWS(4) ROWS(3) ROWS(2) ROWS(1)
#undef ROWS
}

/* One panel of y for n rows of x. */
static __attribute__((noinline)) void multiply(const matrix *m, operand x, int64_t n, int64_t panel, float *y,
                                               int64_t stride, int after) {
    if (m->kind == FLOAT32) rows_of_panel(m, FLOAT32, &x, n, panel, y, stride, after);
    else if (m->kind == BFLOAT16) rows_of_panel(m, BFLOAT16, &x, n, panel, y, stride, after);
    else rows_of_panel(m, INT8, &x, n, panel, y, stride, after);
}

/* The panels of y that this thread claims. */
INLINE void multiply_share(turn *u, const matrix *m, operand x, int64_t n, float *y, int64_t stride, int after) {
    do multiply(m, x, n, u->chunk, y, stride, after);
    while (another(u));
}

/* ---- norms: layer norm where there is a bias, root mean square where there is none ---- */

static void normalise(const float *x, const float *w, const float *b, int64_t n, int64_t n_real, float *y) {
    vec total = splat(0), squares = splat(0);
    if (b)
        for (int64_t i = 0; i < n; i += W) total += load(x + i);
    const float mean = b ? sum(total) / (float)n_real : 0.0f;
    for (int64_t i = 0; i < n; i += W) {
        const vec d = load(x + i) - mean;
        squares += d * d;
    }
    const float variance = (sum(squares) - (float)(n - n_real) * mean * mean) / (float)n_real;
    const float scale = 1.0f / sqrtf(variance + 1e-5f);
    for (int64_t i = 0; i < n; i += W) {
        vec v = (load(x + i) - mean) * scale * load(w + i);
        if (b) v += load(b + i);
        store(y + i, v);
    }
}

/* The residual stream of the pass, normalised, for matrix m. */
static operand normalised(turn *u, const pass *p, const float *w, const float *b, const matrix *m) {
    float *rows = private_rows(u->t, u->me);
    for (int64_t i = 0; i < p->n; i++)
        normalise(u->t->x + i * p->m->embd, w, b, p->m->embd, p->m->n_embd, rows + i * p->m->embd);
    return operand_of(u, m, rows, p->m->embd, p->n);
}

/* ---- attention of one item and head ---- */

INLINE void append(int kind, void *keys, void *values, int64_t at, int64_t F, const float *k, const float *v) {
    const int64_t block = at / BLOCK * BLOCK * F, lane = at % BLOCK;
    for (int64_t f = 0; f < F; f++) {
        if (kind == FLOAT32) {
            ((float *)keys)[block + f * BLOCK + lane] = k[f];
            ((float *)values)[at * F + f] = v[f];
        } else {
            ((uint16_t *)keys)[block + (f / 2 * BLOCK + lane) * 2 + f % 2] = to_bfloat16(k[f]);
            ((uint16_t *)values)[(at / 2 * F + f) * 2 + at % 2] = to_bfloat16(v[f]);
        }
    }
}

/* weights[i] = q . key i, for whole blocks. */
INLINE void agreements(int kind, const float *q, const void *keys, int64_t blocks, int64_t F, float *weights) {
    enum { V = BLOCK / W };
    const ivec *k = keys;
    for (int64_t b = 0; b < blocks; b++) {
        vec a[V] = {splat(0), splat(0), splat(0), splat(0)};
        if (kind == FLOAT32) {
            for (int64_t f = 0; f < F; f++, k += V)
                for (int v = 0; v < V; v++) {
                    PREFETCH(k + v + AHEAD);
                    a[v] += q[f] * (vec)k[v];
                }
        } else {
            for (int64_t f = 0; f < F; f += 2, k += V)
                for (int v = 0; v < V; v++) {
                    PREFETCH(k + v + AHEAD);
                    a[v] += q[f] * low_half(k[v]);
                    a[v] += q[f + 1] * high_half(k[v]);
                }
        }
        for (int v = 0; v < V; v++) store(weights + b * BLOCK + v * W, a[v]);
    }
}

/* Turn n scores into e^(score - largest), 0 beyond n up to whole blocks; returns their sum. */
INLINE float softmax_weights(float *weights, int64_t n, int64_t blocks) {
    for (int64_t i = n; i < blocks * BLOCK; i++) weights[i] = -INFINITY;
    vec most = load(weights), total = splat(0);
    for (int64_t i = W; i < blocks * BLOCK; i += W) most = larger(most, load(weights + i));
    const float top = largest(most);
    for (int64_t i = 0; i < blocks * BLOCK; i += W) {
        const vec e = exponential(load(weights + i) - top);
        total += e;
        store(weights + i, e);
    }
    return sum(total);
}

/* y = scale sum_i weights[i] value i, for V vectors of channels. */
INLINE void mixture(int kind, int V, const float *weights, const void *values, int64_t n, int64_t F, int64_t f,
                    float scale, float *y) {
    vec even[4] = {splat(0), splat(0), splat(0), splat(0)}, odd[4] = {splat(0), splat(0), splat(0), splat(0)};
    for (int64_t i = 0; i < n; i += 2) {
        const float *row = (const float *)values + (kind == FLOAT32 ? i : i / 2) * F + f;
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            PREFETCH(row + (v + AHEAD) * W);
            if (kind == FLOAT32) PREFETCH(row + F + (v + AHEAD) * W);
            const ivec pair = iload(row + v * W);
            even[v] += weights[i] * (kind == FLOAT32 ? (vec)pair : low_half(pair));
            odd[v] += weights[i + 1] * (kind == FLOAT32 ? load(row + F + v * W) : high_half(pair));
        }
    }
    for (int v = 0; v < V; v++) store(y + f + v * W, scale * (even[v] + odd[v]));
}

/* `next`: the keys that will be read after these values. */
INLINE void attend(int kind, int64_t F, const float *q, const void *keys, const void *values, int64_t n,
                   const void *next, float *weights, float *y) {
    const int64_t blocks = (n + BLOCK - 1) / BLOCK;
    for (int64_t i = 0; i < AHEAD; i++) PREFETCH((const vec *)values + i);
    agreements(kind, q, keys, blocks, F, weights);
    for (int64_t i = 0; i < AHEAD; i++) PREFETCH((const vec *)next + i);
    const float scale = 1.0f / softmax_weights(weights, n, blocks);
    int64_t f = 0;
    for (; f + 4 * W <= F; f += 4 * W) mixture(kind, 4, weights, values, n, F, f, scale, y);
    for (; f + 2 * W <= F; f += 2 * W) mixture(kind, 2, weights, values, n, F, f, scale, y);
    for (; f < F; f += W) mixture(kind, 1, weights, values, n, F, f, scale, y);
}

/* Items from..to are consecutive tokens of one slot; qkv (n, stride) holds q, k, v of all heads. */
INLINE void attend_items(const pass *p, int kind, int64_t F, int64_t l, int64_t h, int64_t from, int64_t to,
                         int64_t threads, const float *qkv, int64_t stride, float *weights, float *y,
                         int64_t y_stride) {
    const int64_t inner = p->m->n_head * F, size = kind == FLOAT32 ? 4 : 2, slot = p->slot[from];
    const int64_t one = p->s->blocks * BLOCK * F, next = threads * one;
    const int64_t place = ((slot * p->m->n_layer + l) * p->m->n_head + h) * one * size;
    char *keys = (char *)p->s->keys + place, *values = (char *)p->s->values + place;
    float q[F] __attribute__((aligned(64)));
    for (int64_t i = from; i < to; i++) {
        const float *in = qkv + i * stride + h * F;
        const int64_t at = p->s->lengths[slot] + i - from;
        append(kind, keys, values, at, F, in + inner, in + 2 * inner);
        for (int64_t f = 0; f < F; f++) q[f] = in[f] * p->m->query_scale;
        attend(kind, F, q, keys, values, at + 1, keys + next * size, weights, y + i * y_stride + h * F);
    }
}

/* A chunk is a head of a run of items of one slot. */
static void gpt2_attention(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const int64_t H = p->m->n_head, stride = p->m->layers[l].in.panels * PANEL;
    float *weights = private_weights(u->t, u->me);
    do {
        const int64_t h = u->chunk % H, from = p->run[u->chunk / H], to = p->run[u->chunk / H + 1];
#define ATTEND(KIND, F) \
    attend_items(p, KIND, F, l, h, from, to, u->t->n, u->t->wide, stride, weights, u->t->narrow, p->m->inner)
        if (p->m->cache == FLOAT32 && p->m->head == 64) ATTEND(FLOAT32, 64);
        else if (p->m->cache == FLOAT32) ATTEND(FLOAT32, p->m->head);
        else if (p->m->head == 64) ATTEND(BFLOAT16, 64);
        else ATTEND(BFLOAT16, p->m->head);
#undef ATTEND
    } while (another(u));
}

static void gpt2_qkv(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const operand x = normalised(u, p, y->norm, y->norm_bias, &y->in);
    multiply_share(u, &y->in, x, p->n, u->t->wide, y->in.panels * PANEL, STORE);
}

static void gpt2_widen(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const operand x = normalised(u, p, y->norm2, y->norm2_bias, &y->in2);
    multiply_share(u, &y->in2, x, p->n, u->t->wide, y->in2.panels * PANEL, GELU);
}

static void gpt2_narrow(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const operand x = operand_of(u, &y->out2, u->t->wide, y->in2.panels * PANEL, p->n);
    multiply_share(u, &y->out2, x, p->n, u->t->x, p->m->embd, ADD);
}

/* narrow (n, inner) -> the residual stream, through the layer's output projection. */
static void project_out(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const operand x = operand_of(u, &y->out, u->t->narrow, p->m->inner, p->n);
    multiply_share(u, &y->out, x, p->n, u->t->x, p->m->embd, ADD);
}

/* wide: q, k, v of all heads (n, 3 inner), then the MLP's (n, 4 E); narrow: the heads' outputs. */
static void gpt2_layer(team *t, const pass *p, int64_t l) {
    const layer *y = p->m->layers + l;
    phase(t, gpt2_qkv, p, l, y->in.panels);
    phase(t, gpt2_attention, p, l, p->n_runs * p->m->n_head);
    phase(t, project_out, p, l, y->out.panels);
    phase(t, gpt2_widen, p, l, y->in2.panels);
    phase(t, gpt2_narrow, p, l, y->out2.panels);
}

/* ---- Mamba ---- */

/* x <- silu(conv(x)) in place for channels from..to of x, remembering the inputs; channel 0 of the convolution is x's
 * column `start`. */
static void convolve(const pass *p, const layer *y, int64_t l, float *x, int64_t stride, int64_t start,
                     int64_t channels, int64_t from, int64_t to) {
    const int64_t memory = p->m->conv - 1;
    for (int64_t i = 0; i < p->n; i++) {
        float *window = p->s->window + (p->slot[i] * p->m->n_layer + l) * memory * channels;
        float *row = x + i * stride + start;
        for (int64_t c = from; c < to; c += W) {
            const vec in = load(row + c);
            vec v = load(y->conv_bias + c) + load(y->conv + memory * channels + c) * in;
            for (int64_t k = 0; k < memory; k++) {
                const vec past = load(window + k * channels + c);
                v += load(y->conv + k * channels + c) * past;
                if (k) store(window + (k - 1) * channels + c, past);
            }
            store(window + (memory - 1) * channels + c, in);
            store(row + c, silu(v));
        }
    }
}

/* Panels of the input projection, and the convolution of those of its columns that are channels of it. */
INLINE void project_in(turn *u, const pass *p, int64_t l, int64_t start, int64_t channels) {
    const layer *y = p->m->layers + l;
    const int64_t stride = y->in.panels * PANEL;
    const operand x = normalised(u, p, y->norm, NULL, &y->in);
    do {
        const int64_t from = u->chunk * PANEL - start;
        multiply(&y->in, x, p->n, u->chunk, u->t->wide, stride, STORE);
        if (from >= 0 && from < channels) convolve(p, y, l, u->t->wide, stride, start, channels, from, from + PANEL);
    } while (another(u));
}

/* y = (C h + D x) silu(z) for W channels at c, after h <- exp(delta A) h + delta x B. */
INLINE void scan(const pass *p, const layer *y, int64_t l, int64_t N, int64_t c, const float *wide, const float *maps,
                 int64_t stride, float *dt) {
    const int64_t D = p->m->inner;
    for (int64_t i = 0; i < p->n; i++) {
        float *h = p->s->recurrence + (p->slot[i] * p->m->n_layer + l) * N * D + c;
        const float *B = maps + i * stride + p->m->maps, *C = B + N;
        const vec x = load(wide + i * 2 * D + c), z = load(wide + i * 2 * D + D + c);
        const vec delta = softplus(load(dt + i * D + c)), step = delta * x;
        vec out = load(y->D + c) * x;
        for (int64_t n = 0; n < N; n++) {
            const vec next = exponential(delta * load(y->A + n * D + c)) * load(h + n * D) + step * B[n];
            store(h + n * D, next);
            out += next * C[n];
        }
        store(dt + i * D + c, out * silu(z));
    }
}

static void mamba_in(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    project_in(u, p, l, 0, p->m->inner);
}

static void mamba_maps(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const operand x = operand_of(u, &y->in2, u->t->wide, y->in.panels * PANEL, p->n);
    multiply_share(u, &y->in2, x, p->n, u->t->wide2, y->in2.panels * PANEL, STORE);
}

static void mamba_scan(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const team *t = u->t;
    const int64_t maps = y->in2.panels * PANEL;
    const operand dt = operand_of(u, &y->out2, t->wide2, maps, p->n);
    do {
        multiply(&y->out2, dt, p->n, u->chunk, t->narrow, p->m->inner, STORE);
        for (int64_t c = u->chunk * PANEL; c < (u->chunk + 1) * PANEL; c += W) {
            if (p->m->n_state == 16) scan(p, y, l, 16, c, t->wide, t->wide2, maps, t->narrow);
            else scan(p, y, l, p->m->n_state, c, t->wide, t->wide2, maps, t->narrow);
        }
    } while (another(u));
}

/* wide: x and z (n, 2 D); wide2: dt, B, C; narrow: delta, then y (n, D). */
static void mamba_layer(team *t, const pass *p, int64_t l) {
    const layer *y = p->m->layers + l;
    phase(t, mamba_in, p, l, y->in.panels);
    phase(t, mamba_maps, p, l, y->in2.panels);
    phase(t, mamba_scan, p, l, y->out2.panels);
    phase(t, project_out, p, l, y->out.panels);
}

/* ---- Mamba-2 ---- */

/* One head of one item: h (N, P) <- decay h + delta x B, y = C h + D x, V vectors of P at a time. */
INLINE void head_step(int V, int64_t N, int64_t P, float decay, float delta, const float *x, const float *B,
                      const float *C, const float *D, float *h, float *y) {
    vec step[V], out[V];
    for (int v = 0; v < V; v++) {
        step[v] = delta * load(x + v * W);
        out[v] = load(D + v * W) * load(x + v * W);
    }
    for (int64_t n = 0; n < N; n++)
        for (int v = 0; v < V; v++) {
            const vec next = decay * load(h + n * P + v * W) + B[n] * step[v];
            store(h + n * P + v * W, next);
            out[v] += C[n] * next;
        }
    for (int v = 0; v < V; v++) store(y + v * W, out[v]);
}

/* All items of one head. Columns of wide: z (D), x (D), B, C (groups of N each, padded), dt (heads). */
static void scan_head(const pass *p, const layer *y, int64_t l, int64_t head, const float *wide, int64_t stride,
                      float *out) {
    const int64_t D = p->m->inner, P = p->m->head, N = p->m->n_state, H = p->m->n_head;
    const int64_t group = head / (H / p->m->groups);
    for (int64_t i = 0; i < p->n; i++) {
        const float *row = wide + i * stride, *x = row + D + head * P;
        const float *B = row + 2 * D + group * N, *C = B + p->m->maps, dt = row[2 * D + 2 * p->m->maps + head];
        const float delta = softplus(splat(dt))[0], decay = exponential(splat(delta * y->A[head]))[0];
        float *h = p->s->recurrence + (((p->slot[i] * p->m->n_layer + l) * H) + head) * N * P;
        int64_t c = 0;
        for (; c + 4 * W <= P; c += 4 * W)
            head_step(4, N, P, decay, delta, x + c, B, C, y->D + head * P + c, h + c, out + i * D + head * P + c);
        for (; c + 2 * W <= P; c += 2 * W)
            head_step(2, N, P, decay, delta, x + c, B, C, y->D + head * P + c, h + c, out + i * D + head * P + c);
        for (; c < P; c += W)
            head_step(1, N, P, decay, delta, x + c, B, C, y->D + head * P + c, h + c, out + i * D + head * P + c);
    }
}

/* norm(y silu(z)), the mean square over each group of channels. */
static void gated_norm(const pass *p, const layer *y, const float *in, const float *z, float *out) {
    const int64_t size = p->m->n_head / p->m->groups * p->m->head;
    for (int64_t g = 0; g < p->m->groups; g++) {
        vec squares = splat(0);
        for (int64_t c = g * size; c < (g + 1) * size; c += W) {
            const vec v = load(in + c) * silu(load(z + c));
            squares += v * v;
            store(out + c, v);
        }
        const float scale = 1.0f / sqrtf(sum(squares) / (float)(p->m->n_inner / p->m->groups) + 1e-5f);
        for (int64_t c = g * size; c < (g + 1) * size; c += W)
            store(out + c, load(out + c) * scale * load(y->norm2 + c));
    }
}

static void mamba2_in(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    project_in(u, p, l, p->m->inner, p->m->inner + 2 * p->m->maps);
}

static void mamba2_scan(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    do scan_head(p, y, l, u->chunk, u->t->wide, y->in.panels * PANEL, u->t->narrow);
    while (another(u));
}

static void mamba2_out(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const int64_t D = p->m->inner, stride = y->in.panels * PANEL;
    float *rows = private_rows(u->t, u->me);
    for (int64_t i = 0; i < p->n; i++) gated_norm(p, y, u->t->narrow + i * D, u->t->wide + i * stride, rows + i * D);
    multiply_share(u, &y->out, operand_of(u, &y->out, rows, D, p->n), p->n, u->t->x, p->m->embd, ADD);
}

static void mamba2_layer(team *t, const pass *p, int64_t l) {
    const layer *y = p->m->layers + l;
    phase(t, mamba2_in, p, l, y->in.panels);
    phase(t, mamba2_scan, p, l, p->m->n_head);
    phase(t, mamba2_out, p, l, y->out.panels);
}

/* ---- one pass ---- */

static void embed(team *t, const pass *p) {
    const int64_t E = p->m->embd;
    for (int64_t run = 0; run < p->n_runs; run++)
        for (int64_t i = p->run[run]; i < p->run[run + 1]; i++) {
            const int64_t at = p->s->lengths[p->slot[i]] + i - p->run[run];
            memcpy(t->x + i * E, p->m->tokens + p->token[i] * E, sizeof(float) * E);
            if (p->m->positions)
                for (int64_t c = 0; c < E; c += W)
                    store(t->x + i * E + c, load(t->x + i * E + c) + load(p->m->positions + at * E + c));
        }
}

static void score(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const model *m = p->m;
    const int64_t E = m->embd;
    float *rows = private_rows(u->t, u->me);
    for (int64_t i = 0; i < p->n_wanted; i++)
        normalise(u->t->x + p->wanted[i] * E, m->norm, m->norm_bias, E, m->n_embd, rows + i * E);
    const operand x = operand_of(u, &m->scores, rows, E, p->n_wanted);
    multiply_share(u, &m->scores, x, p->n_wanted, p->scores, m->vocab, STORE);
    (void)l;
}

static void forward(team *t, const pass *p) {
    embed(t, p);
    for (int64_t l = 0; l < p->m->n_layer; l++) {
        if (p->m->family == GPT2) gpt2_layer(t, p, l);
        else if (p->m->family == MAMBA) mamba_layer(t, p, l);
        else mamba2_layer(t, p, l);
    }
    phase(t, score, p, 0, p->n_wanted ? p->m->scores.panels : 0);
    for (int64_t i = 0; i < p->n; i++) p->s->lengths[p->slot[i]]++;
}

/* All items, in passes of at most MOST. */
static void forward_all(team *t, pass p) {
    const int64_t n = p.n, n_wanted = p.n_wanted;
    const int32_t *slot = p.slot, *token = p.token, *wanted = p.wanted;
    int32_t local[MOST];
    p.wanted = local;
    for (int64_t from = 0, w = 0; from < n; from += MOST) {
        p.n = n - from < MOST ? n - from : MOST;
        p.slot = slot + from;
        p.token = token + from;
        for (p.n_wanted = 0; w < n_wanted && wanted[w] < from + p.n; w++)
            local[p.n_wanted++] = (int32_t)(wanted[w] - from);
        p.n_runs = 0;
        for (int64_t i = 0; i < p.n; i++)
            if (!i || p.slot[i] != p.slot[i - 1]) p.run[p.n_runs++] = (int32_t)i;
        p.run[p.n_runs] = (int32_t)p.n;
        forward(t, &p);
        p.scores += p.n_wanted * p.m->vocab;
    }
}

/* ---- drawing a token: the rules and their order are those of sampling.py ---- */

/* e^(x - largest) into e; returns the sum. */
INLINE float exponentials(const float *x, int64_t n, float top, float *e) {
    vec total = splat(0);
    for (int64_t i = 0; i < n; i += W) {
        const vec v = exponential(load(x + i) - top);
        total += v;
        store(e + i, v);
    }
    return sum(total);
}

INLINE float top_of(const float *x, int64_t n) {
    vec most = load(x);
    for (int64_t i = W; i < n; i += W) most = larger(most, load(x + i));
    return largest(most);
}

INLINE void keep_from(float *x, const float *by, int64_t n, float least) {
    for (int64_t i = 0; i < n; i += W)
        store(x + i, choice(load(by + i) >= splat(least), load(x + i), splat(-INFINITY)));
}

INLINE void sink(float *heap, int64_t n, int64_t i) {
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] > heap[child]) child++;
        if (heap[i] >= heap[child]) return;
        const float held = heap[i];
        heap[i] = heap[child];
        heap[child] = held;
    }
}

/* The values of x that are `least` or more, as a heap with the largest on top; returns how many. */
INLINE int64_t heap_of(const float *x, int64_t n, float least, float *heap) {
    int64_t size = 0;
    for (int64_t i = 0; i < n; i++) {
        heap[size] = x[i];
        size += x[i] >= least;
    }
    for (int64_t i = size / 2 - 1; i >= 0; i--) sink(heap, size, i);
    return size;
}

INLINE void pop(float *heap, int64_t *size) {
    heap[0] = heap[--*size];
    sink(heap, *size, 0);
}

static void keep_top_k(float *x, int64_t n, int64_t n_real, int64_t k, float *heap) {
    int64_t size = heap_of(x, n_real, -INFINITY, heap);
    for (k = k < n_real ? k : n_real; k > 1; k--) pop(heap, &size);
    keep_from(x, x, n, heap[0]);
}

/* The largest probabilities up to and including the one that brings their mass to p. Those below half of (1 - p) / n
 * cannot be among them, which leaves few to order. */
static void keep_top_p(float *x, int64_t n, int64_t n_real, float p, float *e, float *heap) {
    const float total = exponentials(x, n, top_of(x, n), e);
    for (int64_t i = 0; i < n; i += W) store(e + i, load(e + i) / total);
    int64_t size = heap_of(e, n_real, 0.5f * (1.0f - p) / (float)n_real, heap);
    float least = heap[0];
    for (double mass = 0; size; pop(heap, &size)) {
        mass += heap[0];
        if ((float)mass - heap[0] >= p) break;
        least = heap[0];
    }
    keep_from(x, e, n, least);
}

static int32_t greedy(const float *x, int64_t n) {
    int32_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = (int32_t)i;
    return best;
}

/* Inverse of the distribution, rounded to steps of 2^-32, at one uniform number. */
static int32_t draw(const float *x, int64_t n, double uniform, float *e) {
    const float total = exponentials(x, n, top_of(x, n), e);
    int64_t mass = 0;
    for (int64_t i = 0; i < n; i++) mass += (int64_t)(e[i] / total * 4294967296.0f);
    int64_t target = (int64_t)(uniform * (double)mass), seen = 0;
    target = target < mass - 1 ? target : mass - 1;
    for (int32_t i = 0; i < n; i++) {
        seen += (int64_t)(e[i] / total * 4294967296.0f);
        if (seen > target) return i;
    }
    return greedy(x, n);
}

/* scores (vocab), bias (vocab: -inf where never drawn), room for three rows -> token and its log-probability under the
 * scores themselves. */
static int32_t choose(const model *m, const float *scores, const float *bias, const sampling *rules, double uniform,
                      float *room, float *log_probability) {
    const int64_t n = m->vocab, real = m->n_vocab;
    float *x = room, *e = room + n, *heap = e + n;
    for (int64_t i = 0; i < n; i += W) store(x + i, load(scores + i) + load(bias + i));
    int32_t token;
    if (rules->temperature == 0) token = greedy(x, real);
    else {
        if (rules->temperature != 1)
            for (int64_t i = 0; i < n; i += W) store(x + i, load(x + i) / rules->temperature);
        if (rules->top_k) keep_top_k(x, n, real, rules->top_k, heap);
        if (rules->top_p < 1) keep_top_p(x, n, real, rules->top_p, e, heap);
        if (rules->log_min_p > -INFINITY) keep_from(x, x, n, top_of(x, n) + rules->log_min_p);
        token = draw(x, real, uniform, e);
    }
    float top = scores[0], total = 0;
    for (int64_t i = 1; i < real; i++) top = scores[i] > top ? scores[i] : top;
    for (int64_t i = 0; i < n; i += W) store(x + i, load(scores + i));
    for (int64_t i = real; i < n; i++) x[i] = -INFINITY;
    total = exponentials(x, n, top, e);
    *log_probability = scores[token] - top - logf(total);
    return token;
}

/* ---- entries ---- */

static int refuse(const model *m, const state *s, int64_t n, const int32_t *slot, const int32_t *token) {
    for (int64_t i = 0, ahead = 0; i < n; i++) {
        ahead = i && slot[i] == slot[i - 1] ? ahead + 1 : 0;
        if (token[i] < 0 || token[i] >= m->n_vocab) return 1;
        if (m->family == GPT2 && s->lengths[slot[i]] + ahead >= s->blocks * BLOCK) return 2;
    }
    return 0;
}

/* Read n items; scores (n_wanted, vocab) of the wanted ones. 0, or 1 for an id out of range, 2 for a full cache. */
int native_read(team *t, const model *m, const state *s, int64_t n, const int32_t *slot, const int32_t *token,
                int64_t n_wanted, const int32_t *wanted, float *scores) {
    const int fault = refuse(m, s, n, slot, token);
    if (fault) return fault;
    set_active(t, 1);
    forward_all(t, (pass){.m = m, .s = s, .n = n, .n_wanted = n_wanted, .slot = slot, .token = token, .wanted = wanted,
                          .scores = scores});
    set_active(t, 0);
    return 0;
}

typedef struct {
    const model *m;
    const state *s;
    int64_t rows, steps, eos, live;
    const int32_t *limit; /* (rows) tokens a row may still draw, 0 for one at rest */
    const double *uniforms; /* (rows, steps) */
    const float *bias;
    const sampling *rules;
    int32_t *token, *drawn, *count; /* (rows) pending; (rows, steps); (rows) */
    float *log_probability;         /* (rows, steps) */
    float *scores, *room;           /* (rows, vocab), (threads, 3, vocab) */
    int32_t *slot, *reading, *index; /* (rows) of the live rows */
} request;

static void gather_live(request *q) {
    q->live = 0;
    for (int64_t r = 0; r < q->rows; r++) {
        const int32_t n = q->count[r];
        if (n >= q->limit[r] || (n && q->drawn[r * q->steps + n - 1] == q->eos)) continue;
        q->slot[q->live] = (int32_t)r;
        q->reading[q->live] = q->token[r];
        q->index[q->live] = (int32_t)q->live;
        q->live++;
    }
}

static void draw_rows(turn *u, const void *argument, int64_t l) {
    const request *q = argument;
    const int64_t vocab = q->m->vocab;
    do
        for (int64_t i = u->chunk; i < q->live; i += MOST_CHUNKS) {
            const int64_t r = q->slot[i], at = r * q->steps + q->count[r]++;
            q->token[r] = choose(q->m, q->scores + i * vocab, q->bias, q->rules, q->uniforms[at],
                                 q->room + u->me * 3 * vocab, q->log_probability + at);
            q->drawn[at] = q->token[r];
        }
    while (another(u));
    (void)l;
}

static void run(team *t, request *q, int first_end) {
    for (int64_t step = 0; step < q->steps; step++) {
        const int64_t before = q->live;
        gather_live(q);
        if (!q->live || (first_end && step && q->live < before)) return;
        forward_all(t, (pass){.m = q->m, .s = q->s, .n = q->live, .n_wanted = q->live, .slot = q->slot,
                              .token = q->reading, .wanted = q->index, .scores = q->scores});
        phase(t, draw_rows, q, 0, q->live < MOST_CHUNKS ? q->live : MOST_CHUNKS);
    }
}

/* Draw up to `steps` tokens in each row, each row until eos or its limit; with first_end, return when a row ended. */
int native_run(team *t, const model *m, const state *s, int64_t rows, int64_t steps, int64_t eos, int64_t first_end,
               const int32_t *limit, const double *uniforms, const float *bias, const sampling *rules, int32_t *token,
               int32_t *drawn, int32_t *count, float *log_probability) {
    request q = {.m = m, .s = s, .rows = rows, .steps = steps, .eos = eos, .limit = limit,
                 .uniforms = uniforms, .bias = bias, .rules = rules, .token = token, .drawn = drawn, .count = count,
                 .log_probability = log_probability};
    for (int64_t r = 0; r < rows; r++) {
        const int64_t reads = limit[r] < steps ? limit[r] : steps;
        if (reads && (token[r] < 0 || token[r] >= m->n_vocab)) return 1;
        if (m->family == GPT2 && s->lengths[r] + reads > s->blocks * BLOCK) return 2;
    }
    q.scores = aligned_alloc(64, sizeof(float) * (rows + 3 * t->n) * m->vocab);
    q.slot = malloc(sizeof(int32_t) * 3 * rows);
    if (q.scores && q.slot) {
        q.room = q.scores + rows * m->vocab;
        q.reading = q.slot + rows;
        q.index = q.reading + rows;
        set_active(t, 1);
        run(t, &q, first_end != 0);
        set_active(t, 0);
    }
    const int fault = q.scores && q.slot ? 0 : 3;
    free(q.scores);
    free(q.slot);
    return fault;
}

/* For tests: the rules alone, and the functions on n values (a multiple of 16). */
void native_choose(const model *m, int64_t rows, const float *scores, const float *bias, const sampling *rules,
                   const double *uniforms, float *room, int32_t *token, float *log_probability) {
    for (int64_t r = 0; r < rows; r++)
        token[r] = choose(m, scores + r * m->vocab, bias, rules, uniforms[r], room, log_probability + r);
}

void native_function(int64_t which, int64_t n, const float *x, float *y) {
    for (int64_t i = 0; i < n; i += W) {
        const vec v = load(x + i);
        store(y + i, which == 0 ? exponential(v) : which == 1 ? gelu(v) : which == 2 ? silu(v) : softplus(v));
    }
}

int64_t native_panel(void) { return PANEL; }

const char *native_instructions(void) {
#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)
    return "avx512 bf16 vnni";
#elif defined(__AVX512F__)
    return "avx512";
#elif defined(__AVX2__)
    return "avx2";
#else
    return "portable";
#endif
}
