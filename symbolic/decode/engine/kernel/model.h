/* What a pass reads and writes: weights, state, items. */
enum { GPT2, MAMBA, MAMBA2 };

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
    float *window, *recurrence; /* (slots, layers, channels / PANEL, conv - 1, PANEL), (slots, layers, inner / w, states, w):
                                   w is W for Mamba, whose A lies so too, and a head for Mamba-2 */
    int32_t *lengths;          /* tokens each slot has read */
} state;

enum { MOST_AHEAD = 4 }; /* items of a pass that may be undone */

/* What undoes items of one slot of the Mambas. The recurrence stays behind: it has not read the items of the pass before
 * that were kept (n_held), whose inputs are in rows[0]; a pass reads them first, then its own items on a copy. */
typedef struct {
    float *window[MOST_AHEAD + 1]; /* as state's, of one slot: before the pass, after its first item, ... */
    float *rows[2];                /* (layers, MOST_AHEAD, stride): of the pass before, of this one */
    int64_t stride, n_held;
} ahead;

typedef struct {
    const model *m;
    const state *s;
    const ahead *a; /* NULL where nothing is to be undone */
    int64_t n, n_wanted, n_runs;
    const int32_t *slot, *token, *wanted; /* wanted: items whose scores are asked for, ascending */
    float *scores;                        /* (n_wanted, vocab) */
    int32_t run[MOST + 1];                /* first items of the runs of one slot, and n */
} pass;

/* Layer norm where there is a bias, root mean square where there is none. */
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
