/* y = x W + b.
 *
 * Matrices  panels of PANEL outputs; word k of a panel holds for each output the 32 bits of its next inputs: one
 *           float32, two bfloat16 or four int8. A product is then a broadcast word of x and a vector of words of W.
 *           EXACT is float32 whose weights all fit bfloat16: half the bytes, the same weights, x in float32.
 * Order     an output is a sum over the inputs in their order, whatever other rows are multiplied with it. So a kind is
 *           always multiplied by the same instructions, however many rows there are (int8 is exact by any).
 * AVX2      has half the registers of half the width, and compilers keep wider vectors in memory: a tile is written out for
 *           it, with the same sums in the same order (int8: products of 16-bit pairs, exact as well).
 * Tiles     take words as they lie: 16 words of 16 outputs are a tile. For EXACT a row of x becomes three of bfloat16
 *           whose sum it is, all 24 bits of it: their products are exact, and their outputs are added.
 */
enum { VECTORS = 64 / W }; /* in a panel */
#ifdef __AVX512F__
enum { TILE = 6 }; /* rows of x whose TILE * VECTORS sums fit the 32 registers */
#elif defined(__AVX2__) && defined(__FMA__)
#define AVX2 1
enum { TILE = 4 }; /* rows of x whose sums, of 4 registers of a panel each or of 2 for the fourth row, fit 16 */
#else
enum { TILE = 1 };
#endif
#define PANEL (W * VECTORS)
enum { FLOAT32, BFLOAT16, INT8, EXACT };
enum { STORE, ADD, GELU };
enum { PARTS = 3 }; /* bfloat16 that a float32 is the sum of */

typedef struct {
    const uint32_t *words;
    const float *bias, *scale; /* bias may be absent; scale and sums are int8's */
    const int32_t *sums;       /* 128 times the sum of an output's weights */
    int64_t kind, panels, n_words;
} matrix;

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

/* Row = the sum of three rows of bfloat16, `stride` words apart. */
INLINE void row_to_parts(const float *x, int64_t n, uint32_t *words, int64_t stride) {
#if TILES
    for (int64_t i = 0; i < n; i += 2 * W) {
        vec low = load(x + i), high = load(x + i + W);
        for (int j = 0; j < 3; j++) {
            const __m512bh both = _mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
            _mm512_store_si512(words + j * stride + i / 2, (__m512i)both);
            low -= (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256((__m512i)both)), 16);
            high -= (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64((__m512i)both, 1)), 16);
        }
    }
#else
    (void)x, (void)n, (void)words, (void)stride;
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
    if (m->kind == FLOAT32 || (m->kind == EXACT && !has_tiles())) return (operand){(const uint32_t *)x, stride, x};
    const int64_t each = m->kind == INT8 ? 4 : 2, length = (m->n_words * each + PANEL - 1) / PANEL * PANEL;
    const int64_t words = length / each;
    uint32_t *made = (uint32_t *)private_words(u->t, u->me);
    float *scale = private_scales(u->t, u->me);
    for (int64_t i = 0; i < n; i++) {
        if (m->kind == BFLOAT16) row_to_bfloat16(x + i * stride, length, made + i * words);
        else if (m->kind == EXACT) row_to_parts(x + i * stride, length, made + PARTS * i * words, words);
        else scale[i] = row_to_int8(x + i * stride, length, made + i * words);
    }
    return (operand){made, words, scale};
}

INLINE vec product(int kind, vec a, const uint32_t *words, ivec w) {
    const uint32_t x = *words;
    if (kind == FLOAT32 || kind == EXACT) {
        float value[2];
        memcpy(value, words, kind == EXACT ? 8 : 4);
        if (kind == FLOAT32) return a + splat(value[0]) * (vec)w;
        a += splat(value[0]) * low_half(w);
        return a + splat(value[1]) * high_half(w);
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

#if AVX2
/* `product` of 8 outputs. word: of x, two numbers of it for EXACT. */
INLINE __m256 product_of_8(int kind, __m256 a, const uint32_t *word, __m256i w) {
    const __m256i upper = _mm256_set1_epi32((int)0xffff0000);
    if (kind == FLOAT32) return _mm256_fmadd_ps(_mm256_broadcast_ss((const float *)word), _mm256_castsi256_ps(w), a);
    const __m256 low = _mm256_castsi256_ps(_mm256_slli_epi32(w, 16));
    const __m256 high = _mm256_castsi256_ps(_mm256_and_si256(w, upper));
    if (kind == EXACT) {
        a = _mm256_fmadd_ps(_mm256_broadcast_ss((const float *)word), low, a);
        return _mm256_fmadd_ps(_mm256_broadcast_ss((const float *)word + 1), high, a);
    }
    const __m256i x = _mm256_set1_epi32((int)*word);
    if (kind == BFLOAT16) {
        a = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(x, upper)), high, a);
        return _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(x, 16)), low, a);
    }
    /* Bytes 0 and 2, then 1 and 3, as 16-bit numbers: x without, w with a sign. */
    const __m256i bytes = _mm256_set1_epi32(0x00ff00ff);
    const __m256i even = _mm256_madd_epi16(_mm256_and_si256(x, bytes), _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8));
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(w, 8));
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_add_epi32(even, odd)));
}

/* R rows of x by V registers of a panel, from register `first` on -> sums (R, PANEL). R and V are constants. */
INLINE void sums_of_8(const matrix *m, int kind, int R, int V, const operand *x, int64_t row, int64_t panel, int first,
                      float *sums) {
    enum { REGISTERS = PANEL / 8 };
    const uint32_t *in = x->words + row * x->stride;
    const __m256i *w = (const __m256i *)m->words + panel * m->n_words * REGISTERS + first;
    __m256 a[12];
#pragma GCC unroll 12
    for (int i = 0; i < R * V; i++) a[i] = _mm256_setzero_ps();
    for (int64_t k = 0; k < m->n_words; k++, w += REGISTERS) {
        if (V < REGISTERS && !first) /* the processor's own prefetches follow no stream with gaps */
#pragma GCC unroll 4
            for (int v = 0; v < REGISTERS; v += 2) PREFETCH((const char *)(w + 16 * REGISTERS + v));
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) {
            const __m256i column = _mm256_load_si256(w + v);
#pragma GCC unroll 4
            for (int r = 0; r < R; r++)
                a[r * V + v] = product_of_8(kind, a[r * V + v], in + r * x->stride + (kind == EXACT ? 2 * k : k), column);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) _mm256_store_ps(sums + r * PANEL + 8 * (first + v), a[r * V + v]);
}

/* R rows of x by one panel; one row takes all of its outputs at once, 2 or 3 half of them, 4 a quarter. */
INLINE void tile(const matrix *m, int kind, int R, const operand *x, int64_t row, int64_t panel, float *y,
                 int64_t stride, int after) {
    float sums[TILE * PANEL] __attribute__((aligned(64)));
    if (R == 1) sums_of_8(m, kind, 1, 8, x, row, panel, 0, sums);
    else if (R == 4)
        for (int v = 0; v < 8; v += 2) sums_of_8(m, kind, R, 2, x, row, panel, v, sums);
    else
        for (int v = 0; v < 8; v += 4) sums_of_8(m, kind, R, 4, x, row, panel, v, sums);
    finish(m, sums, x->scale + row, R, panel * PANEL, y + row * stride + panel * PANEL, stride, after);
}
#else
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
        ivec columns[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) columns[v] = w[v];
#pragma GCC unroll 6
        for (int r = 0; r < R; r++) {
            const uint32_t *word = in + r * step + (kind == EXACT ? 2 * k : k);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) a[r * VECTORS + v] = product(kind, a[r * VECTORS + v], word, columns[v]);
        }
    }
    float sums[TILE * PANEL] __attribute__((aligned(64)));
#pragma GCC unroll 24
    for (int i = 0; i < R * VECTORS; i++) store(sums + i * W, a[i]);
    finish(m, sums, x->scale + row, R, panel * PANEL, y + row * stride + panel * PANEL, stride, after);
}

#endif

INLINE void rows_of_panel(const matrix *m, int kind, const operand *x, int64_t n, int64_t panel, float *y,
                          int64_t stride, int after) {
    int64_t row = 0;
#define ROWS(R)                                \
    for (; R <= TILE && n - row >= R; row += R) \
        tile(m, kind, R <= TILE ? R : 1, x, row, panel, y, stride, after);
    ROWS(6)
    if (TILE > 4 || n == 4) ROWS(4) /* threes are faster where there are many */
    ROWS(3) ROWS(2) ROWS(1)
#undef ROWS
}

#if TILES
/* Statements, as the compiler's own tile operations are; t, sums, x and w are numbers of tiles. */
#define LOAD_X(t, from) _tile_loadd(t, from, step * 4);
#define LOAD_W(t, v) _tile_loadd(t, w + (v) * W, PANEL * 4);
#define CLEAR _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
#define KEEP(t, from) _tile_stored(t, from, PANEL * 4);
#define MULTIPLY(sums, x, w)                       \
    if (kind == INT8) { _tile_dpbusd(sums, x, w); } \
    else { _tile_dpbf16ps(sums, x, w); }

/* 16 rows of x by a panel; rows beyond the last are whatever the work space holds. */
INLINE void tiles_16(int kind, int64_t words, const uint32_t *x, int64_t step, const uint32_t *w, float *sums) {
    CLEAR
    for (int64_t k = 0; k < words; k += 16, x += 16, w += 16 * PANEL) {
        LOAD_X(4, x)
        LOAD_W(5, 0)
        MULTIPLY(0, 4, 5)
        LOAD_W(6, 1)
        MULTIPLY(1, 4, 6)
        LOAD_W(7, 2)
        MULTIPLY(2, 4, 7)
        LOAD_W(5, 3)
        MULTIPLY(3, 4, 5)
    }
    KEEP(0, sums) KEEP(1, sums + W) KEEP(2, sums + 2 * W) KEEP(3, sums + 3 * W)
}

/* 32 rows of x by half a panel. */
INLINE void tiles_32(int kind, int64_t words, const uint32_t *x, int64_t step, const uint32_t *w, float *sums) {
    CLEAR
    for (int64_t k = 0; k < words; k += 16, x += 16, w += 16 * PANEL) {
        LOAD_X(4, x)
        LOAD_X(5, x + 16 * step)
        LOAD_W(6, 0)
        LOAD_W(7, 1)
        MULTIPLY(0, 4, 6)
        MULTIPLY(1, 4, 7)
        MULTIPLY(2, 5, 6)
        MULTIPLY(3, 5, 7)
    }
    KEEP(0, sums) KEEP(1, sums + W) KEEP(2, sums + 16 * PANEL) KEEP(3, sums + 16 * PANEL + W)
}

/* Rows of sums in threes, added. */
INLINE void add_parts(float *sums, int64_t rows) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < PANEL; i += W) {
            const float *part = sums + PARTS * r * PANEL + i;
            store(sums + r * PANEL + i, load(part) + (load(part + PANEL) + load(part + 2 * PANEL)));
        }
}

/* 32 rows of x at a time, or the parts of 16. */
INLINE void rows_by_tiles(const matrix *m, int kind, int parts, const operand *x, int64_t n, int64_t panel, float *y,
                          int64_t stride, int after) {
    enum { ROWS = 16 * PARTS };
    float sums[ROWS * PANEL] __attribute__((aligned(64)));
    const int64_t words = m->n_words, step = x->stride, most = parts == 1 ? 32 : 16;
    const uint32_t *w = m->words + panel * words * PANEL;
    for (int64_t row = 0; row < n; row += most) {
        const int64_t taken = n - row < most ? n - row : most;
        for (int64_t r = 0; r < taken * parts; r += 32) {
            const uint32_t *in = x->words + (row * parts + r) * step;
            if (taken * parts - r <= 16) tiles_16(kind, words, in, step, w, sums + r * PANEL);
            else
                for (int v = 0; v < VECTORS; v += 2) tiles_32(kind, words, in, step, w + v * W, sums + r * PANEL + v * W);
        }
        if (parts > 1) add_parts(sums, taken);
        finish(m, sums, x->scale + row, taken, panel * PANEL, y + row * stride + panel * PANEL, stride, after);
    }
}
#endif

/* One panel of y for n rows of x. */
static __attribute__((noinline)) void multiply(const matrix *m, operand x, int64_t n, int64_t panel, float *y,
                                               int64_t stride, int after) {
#if TILES
    if (m->kind != FLOAT32 && (m->kind != INT8 || n > TILE) && has_tiles()) {
        if (m->kind == BFLOAT16) rows_by_tiles(m, BFLOAT16, 1, &x, n, panel, y, stride, after);
        else if (m->kind == INT8) rows_by_tiles(m, INT8, 1, &x, n, panel, y, stride, after);
        else rows_by_tiles(m, BFLOAT16, PARTS, &x, n, panel, y, stride, after);
        return;
    }
#endif
    if (m->kind == FLOAT32) rows_of_panel(m, FLOAT32, &x, n, panel, y, stride, after);
    else if (m->kind == BFLOAT16) rows_of_panel(m, BFLOAT16, &x, n, panel, y, stride, after);
    else if (m->kind == EXACT) rows_of_panel(m, EXACT, &x, n, panel, y, stride, after);
    else rows_of_panel(m, INT8, &x, n, panel, y, stride, after);
}

/* The panels of y that this thread claims. */
INLINE void multiply_share(turn *u, const matrix *m, operand x, int64_t n, float *y, int64_t stride, int after) {
    do multiply(m, x, n, u->chunk, y, stride, after);
    while (another(u));
}
